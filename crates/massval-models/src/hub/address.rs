//! Addresses: the endpoint's, those below it, and where a redirect leads.

use super::error::HubError;
use super::name::HubName;

/// The address of a hub: scheme, host, and perhaps a path below which it lies.
#[derive(Debug, Clone)]
pub(super) struct Endpoint(String);

impl Endpoint {
    /// # Errors
    /// [`HubError::Option`] if it is not `http(s)://host[:port][/path]`. A password in it would
    /// end up in messages; it is refused unseen.
    pub(super) fn new(text: &str) -> Result<Self, HubError> {
        let text = text.trim().trim_end_matches('/');
        let error = |what: &str| {
            Err(HubError::Option { option: "endpoint (HF_ENDPOINT)", what: what.to_owned() })
        };
        let Some((_, rest)) = text.split_once("://").filter(|(s, _)| ["http", "https"].contains(s))
        else {
            return error("it is not of the form https://host");
        };
        if rest.contains('@') {
            return error("leave user and password out of it; use a token instead");
        }
        let known = |c: char| c.is_ascii_alphanumeric() || "-_.:/[]".contains(c);
        if rest.is_empty() || rest.starts_with('/') || !rest.chars().all(known) {
            return error("it is not of the form https://host");
        }
        Ok(Self(text.to_owned()))
    }

    /// Where the list of a revision's files is.
    pub(super) fn info(&self, name: &HubName, revision: &str) -> String {
        format!("{}/api/models/{name}/revision/{}", self.0, escape(revision))
    }

    /// Where a file of a commit is.
    pub(super) fn file(&self, name: &HubName, commit: &str, file: &str) -> String {
        format!("{}/{name}/resolve/{commit}/{}", self.0, escape(file))
    }

    /// The page of a model, for a person.
    pub(super) fn page(&self, name: &HubName) -> String {
        format!("{}/{name}", self.0)
    }

    /// Whether an address is on the same server, over the same protocol: where the token may go.
    pub(super) fn is_home_of(&self, url: &str) -> bool {
        origin(&self.0).is_some_and(|home| origin(url) == Some(home))
    }
}

/// Scheme, host and port of an address.
fn origin(url: &str) -> Option<(&str, String)> {
    let (scheme, rest) = url.split_once("://")?;
    let host = rest.split(['/', '?', '#']).next()?;
    Some((scheme, host.to_ascii_lowercase()))
}

/// The host of an address, to be shown: the rest of it may be signed.
pub(super) fn host(url: &str) -> String {
    let host = origin(url).map(|(_, host)| host).unwrap_or_default();
    host.rsplit('@').next().unwrap_or_default().to_owned()
}

/// The address that a `Location` means.
///
/// # Errors
/// What is wrong with it.
pub(super) fn redirected(from: &str, location: &str) -> Result<String, &'static str> {
    let (scheme, authority) = origin(from).ok_or("from no address")?;
    let to = match location {
        _ if location.starts_with("http://") || location.starts_with("https://") => {
            location.to_owned()
        }
        _ if location.starts_with("//") => format!("{scheme}:{location}"),
        _ if location.starts_with('/') => format!("{scheme}://{authority}{location}"),
        _ => return Err("to no address"),
    };
    if scheme == "https" && !to.starts_with("https://") {
        return Err("from an encrypted connection to one that is not");
    }
    Ok(to)
}

/// Percent-encodes all but unreserved characters, slashes too.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_below_the_endpoint() {
        let hub = Endpoint::new(" https://mirror.example/hub/ ").unwrap();
        let name = "org/name".parse().unwrap();
        let info = "https://mirror.example/hub/api/models/org/name/revision/refs%2Fpr%2F1";
        assert_eq!(hub.info(&name, "refs/pr/1"), info);
        let file = "https://mirror.example/hub/org/name/resolve/main/a%20b.json";
        assert_eq!(hub.file(&name, "main", "a b.json"), file);
    }

    #[test]
    fn bad_endpoints_are_refused_and_their_passwords_not_repeated() {
        for bad in [
            "",
            "huggingface.co",
            "ftp://x",
            "https://",
            "https:///x",
            "https://a?b",
            "https://a b",
        ] {
            assert!(Endpoint::new(bad).is_err(), "{bad:?}");
        }
        let error = Endpoint::new("https://me:geheim@host").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("geheim"));
    }

    #[test]
    fn the_token_stays_at_home() {
        let hub = Endpoint::new("https://hub.co/x").unwrap();
        assert!(hub.is_home_of("https://hub.co/y") && hub.is_home_of("https://HUB.co?z"));
        for other in [
            "http://hub.co/x",
            "https://hub.co:444/x",
            "https://hub.co.evil.com/",
            "https://evil.com/hub.co",
            "https://hub.co@evil.com/",
            "https://cdn.hub.co/",
            "hub.co",
        ] {
            assert!(!hub.is_home_of(other), "{other}");
        }
    }

    #[test]
    fn redirects() {
        let from = "https://hub.co/a?b";
        for (location, to) in [
            ("/c?d", "https://hub.co/c?d"),
            ("//cdn.co/c", "https://cdn.co/c"),
            ("https://cdn.co/c", "https://cdn.co/c"),
        ] {
            assert_eq!(redirected(from, location).as_deref(), Ok(to));
        }
        assert!(redirected(from, "http://hub.co/c").is_err());
        assert!(redirected(from, "c").is_err() && redirected(from, "file:///etc").is_err());
        assert!(redirected("http://hub.co", "http://cdn.co/c").is_ok());
        assert_eq!(host("https://me:pw@cdn.co:8/c?signature=1"), "cdn.co:8");
    }
}
