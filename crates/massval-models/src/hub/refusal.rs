//! What a hub's refusal means, in words that say what to do.

use std::time::Duration;

use super::client::Trouble;
use super::error::HubError;
use super::name::HubName;

/// What was asked about.
#[derive(Clone, Copy)]
pub(super) enum Subject<'a> {
    /// The files of a revision.
    Revision(&'a str),
    /// One file.
    File(&'a str),
}

/// What is known of a refusal.
pub(super) struct Known<'a> {
    pub(super) name: &'a HubName,
    /// The model's page.
    pub(super) page: &'a str,
    pub(super) host: &'a str,
    /// Whether a token was sent.
    pub(super) token: bool,
    pub(super) status: u16,
    /// `X-Error-Code`, by which the hub tells apart what a status lumps together.
    pub(super) code: Option<&'a str>,
    /// `X-Error-Message`, without the token.
    pub(super) message: &'a str,
}

/// The longest text of a server that is passed on.
const LONGEST: usize = 200;

/// Reads a refusal.
pub(super) fn refusal(known: &Known<'_>, subject: Subject<'_>) -> Trouble {
    let model = || known.name.to_string();
    let denied = |what: String| HubError::Denied { model: model(), what }.into();
    let not_found = |model: String, what: String| HubError::NotFound { model, what }.into();
    let said = said(known.message);
    let page = known.page;
    match (known.status, known.code) {
        (401 | 403, Some("GatedRepo")) => denied(match known.token {
            true => {
                format!("it is gated, and this token's user has not been let in: ask at {page}")
            }
            false => format!("it is gated: ask to be let in at {page}, then set HF_TOKEN"),
        }),
        (401, _) if known.token => {
            denied(format!("{} does not accept the token{said}; make a new one", known.host))
        }
        (401, _) => denied(format!(
            "there is no such model, or it is private: check the name; if it is private, set HF_TOKEN{said}"
        )),
        (403, _) => denied(match known.token {
            true => format!("this token may not read it{said}; give it that right, or use another"),
            false => format!("{} forbids it{said}; set HF_TOKEN", known.host),
        }),
        (404, Some("RevisionNotFound")) => match subject {
            Subject::Revision(revision) => not_found(
                known.name.at(revision),
                format!("there is no such branch, tag or commit; {page}/tree/main lists them"),
            ),
            Subject::File(_) => {
                not_found(model(), "the commit vanished meanwhile; run again".to_owned())
            }
        },
        (404, Some("RepoNotFound")) => not_found(
            model(),
            match known.token {
                true => {
                    "there is no such model, or the token may not see it: check the name".to_owned()
                }
                false => "there is no such model: check the name; if it is private, set HF_TOKEN"
                    .to_owned(),
            },
        ),
        (404, _) => match subject {
            Subject::Revision(revision) => not_found(
                known.name.at(revision),
                format!("{} knows no such model or revision{said}", known.host),
            ),
            Subject::File(file) => {
                not_found(model(), format!("{} does not have its file {file}{said}", known.host))
            }
        },
        (429, _) => {
            let more = if known.token { "" } else { ", or set HF_TOKEN to be allowed more" };
            passing(known, format!("too many requests to {}; wait a while{more}{said}", known.host))
        }
        (408 | 500..=599, code) => {
            let code = code.map_or_else(String::new, |code| format!(" ({})", short(code)));
            passing(
                known,
                format!("{} fails with status {}{code}{said}; try later", known.host, known.status),
            )
        }
        (status, _) => {
            let what = format!("{} answers with status {status}{said}", known.host);
            HubError::reply(known.name, what).into()
        }
    }
}

fn passing(known: &Known<'_>, what: String) -> Trouble {
    Trouble::Passing(HubError::Connection { model: known.name.to_string(), what })
}

/// A server's words, short and on one line.
fn said(message: &str) -> String {
    let plain = short(message);
    if plain.is_empty() { plain } else { format!(" (\"{plain}\")") }
}

/// The beginning of another's words, on one line.
pub(super) fn short(words: &str) -> String {
    words.chars().filter(|c| !c.is_control()).take(LONGEST).collect()
}

/// Reads the error of a connection that could not be made, or broke.
pub(super) fn broken(
    name: &HubName,
    host: &str,
    timeout: Duration,
    error: &ureq::Error,
    hide: impl Fn(&str) -> String,
) -> Trouble {
    let seconds = timeout.as_secs_f64();
    let what = match error {
        ureq::Error::Timeout(_) => {
            format!("{host} was silent for {seconds} s; run again to go on, or give it longer")
        }
        ureq::Error::HostNotFound => {
            format!("there is no host {host}: is there a connection, is HF_ENDPOINT right?")
        }
        ureq::Error::Io(error) => {
            format!("the connection to {host} broke: {error}; run again to go on")
        }
        // Another text may hold an address, and that a signature.
        ureq::Error::BadUri(_) | ureq::Error::RequireHttpsOnly(_) | ureq::Error::Http(_) => {
            let what = format!("{host} leads to an address that is none");
            return HubError::reply(name, what).into();
        }
        ureq::Error::ConnectProxyFailed(_) => {
            format!("the proxy does not connect to {host}; check its address and password")
        }
        ureq::Error::BodyExceedsLimit(_) => {
            let what = format!("{host} sends a list of files beyond all measure");
            return HubError::reply(name, what).into();
        }
        other => format!("{host}: {other}; run again to go on"),
    };
    Trouble::Passing(HubError::Connection { model: name.to_string(), what: hide(&what) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(status: u16, code: Option<&str>, token: bool, subject: Subject<'_>) -> (bool, String) {
        let name = "org/name".parse().unwrap();
        let known = Known {
            name: &name,
            page: "https://hub.co/org/name",
            host: "hub.co",
            token,
            status,
            code,
            message: "some\nwords",
        };
        match refusal(&known, subject) {
            Trouble::Passing(error) => (true, error.to_string()),
            Trouble::Lasting(error) => (false, error.to_string()),
        }
    }

    #[test]
    fn each_refusal_says_what_to_do() {
        let (revision, file) = (Subject::Revision("v9"), Subject::File("a.json"));
        for (status, code, token, subject, said) in [
            (
                401,
                Some("GatedRepo"),
                false,
                revision,
                "let in at https://hub.co/org/name, then set HF_TOKEN",
            ),
            (403, Some("GatedRepo"), true, file, "has not been let in"),
            (
                401,
                Some("RepoNotFound"),
                false,
                revision,
                "check the name; if it is private, set HF_TOKEN",
            ),
            (
                401,
                None,
                true,
                revision,
                "does not accept the token (\"somewords\"); make a new one",
            ),
            (403, None, true, file, "may not read it"),
            (403, None, false, file, "set HF_TOKEN"),
            (404, Some("RepoNotFound"), false, revision, "no such model"),
            (404, Some("RepoNotFound"), true, revision, "the token may not see it"),
            (
                404,
                Some("RevisionNotFound"),
                false,
                revision,
                "org/name at v9: there is no such branch",
            ),
            (404, None, false, revision, "no such model or revision"),
            (404, Some("EntryNotFound"), false, file, "does not have its file a.json"),
            (418, None, false, file, "status 418"),
        ] {
            let (passing, words) = words(status, code, token, subject);
            assert!(words.contains(said) && words.starts_with("org/name"), "{words}");
            assert!(!passing, "{words}");
        }
        for status in [408, 429, 500, 503] {
            assert!(words(status, None, false, file).0, "{status} may pass");
        }
    }
}
