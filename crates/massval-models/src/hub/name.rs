//! Names from outside that become parts of paths and addresses: each is checked before that.

use std::fmt;
use std::str::FromStr;

use super::error::HubError;

/// The name of a model on a hub, `org/name`.
///
/// ```
/// use massval_models::hub::HubName;
///
/// let name: HubName = "HuggingFaceTB/SmolLM2-135M".parse()?;
/// assert_eq!(name.to_string(), "HuggingFaceTB/SmolLM2-135M");
/// assert!("../etc".parse::<HubName>().is_err());
/// # Ok::<(), massval_models::hub::HubError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubName(String);

/// The longest that either half of a name may be.
const LONGEST: usize = 96;

impl FromStr for HubName {
    type Err = HubError;

    fn from_str(text: &str) -> Result<Self, HubError> {
        let error = |what| Err(HubError::Name { name: text.to_owned(), what });
        let Some((organisation, name)) = text.split_once('/') else {
            return error("it is `org/name`, with one slash");
        };
        for part in [organisation, name] {
            let known = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            if part.is_empty() || part.len() > LONGEST {
                return error("each half has 1 to 96 characters");
            }
            if !part.chars().all(known) {
                return error("only letters, digits, `-`, `_`, `.` and one slash are allowed");
            }
            if part.starts_with(['-', '.']) || part.ends_with(['-', '.']) {
                return error("neither half begins or ends with `-` or `.`");
            }
            // The cache writes the slash as `--`.
            if part.contains("--") || part.contains("..") {
                return error("`--` and `..` are not allowed");
            }
        }
        if name.ends_with(".git") {
            return error("leave out `.git`");
        }
        Ok(Self(text.to_owned()))
    }
}

impl HubName {
    /// The name as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn at(&self, revision: &str) -> String {
        format!("{self} at {revision}")
    }
}

impl fmt::Display for HubName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Checks that a revision can be a file's path below `refs`: git's own rules, or stricter.
pub(super) fn check_revision(revision: &str) -> Result<(), HubError> {
    let error = |what| Err(HubError::Revision { revision: revision.to_owned(), what });
    if revision.is_empty() || revision.len() > 200 {
        return error("it has 1 to 200 characters");
    }
    let known = |c: char| c.is_ascii_alphanumeric() || "-_.+@#=/".contains(c);
    if !revision.chars().all(known) {
        return error("only letters, digits and `-_.+@#=/` are allowed");
    }
    for part in revision.split('/') {
        let hidden = part.starts_with(['.', '-']) || part.ends_with('.');
        if part.is_empty() || hidden || part.contains("..") || part.ends_with(".lock") {
            return error("a part is empty, begins with `.` or `-`, or holds `..`");
        }
    }
    Ok(())
}

/// Whether this is a whole commit hash, which always names the same files.
pub(super) fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && is_lower_hex(text)
}

/// Whether an entity tag is the SHA-256 of what it tags, as it is for large files.
pub(super) fn is_sha256(etag: &str) -> bool {
    etag.len() == 64 && is_lower_hex(etag)
}

fn is_lower_hex(text: &str) -> bool {
    text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
}

/// An entity tag without quotes and weakness mark, if it can be a file's name.
pub(super) fn plain_etag(header: &str) -> Option<&str> {
    let etag = header.trim().trim_start_matches("W/").trim_matches('"');
    let known = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    let plain = (1..=128).contains(&etag.len()) && etag.chars().all(known);
    plain.then_some(etag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["gpt2/x", "openai-community/gpt2", "a.b/c_d", "Qwen/Qwen2.5-0.5B"] {
            assert_eq!(good.parse::<HubName>().unwrap().as_str(), good);
        }
        let long = format!("a/{}", "b".repeat(97));
        for bad in [
            "", "/", "a", "a/", "/b", "a/b/c", "../a", "a/..", ".a/b", "a/b.", "-a/b", "a--b/c",
            "a/b..c", "a\\b", "a/b\\c", "a/b c", "a/b\0", "C:/x", "~/x", "a/é", "a/b.git", "a/b\n",
            "a/b?c", "a/b%2e", &long,
        ] {
            assert!(bad.parse::<HubName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn revisions() {
        for good in ["main", "v1.0", "refs/pr/1", "feature/a-b", "607a30d783dfa663caf39e06633721"] {
            assert!(check_revision(good).is_ok(), "{good:?}");
        }
        for bad in [
            "", "/", "/main", "main/", "a//b", "..", "../x", "a/../b", "a..b", ".a", "a/.b", "-x",
            "a\\b", "a b", "a\0", "a.lock", "a.", "a:b", "a?b", "ä", "a\n",
        ] {
            assert!(check_revision(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn commits_and_tags() {
        assert!(is_commit(&"0a".repeat(20)) && is_commit(&"0a".repeat(32)));
        assert!(!is_commit("main") && !is_commit(&"0A".repeat(20)) && !is_commit(&"..".repeat(20)));
        assert_eq!(plain_etag("W/\"0a-_Z\""), Some("0a-_Z"));
        assert_eq!(plain_etag("\"0a\""), Some("0a"));
        for bad in ["", "\"\"", "../x", "a/b", "a\\b", "..", "a.b", "a b", &"a".repeat(129)] {
            assert_eq!(plain_etag(bad), None, "{bad:?}");
        }
    }
}
