//! Requests to a hub: which files a revision has, what a file is, and its bytes from a place on.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Deserialize;
use ureq::http::HeaderMap;
use ureq::{Agent, Body};

use super::address::{Endpoint, host, redirected};
use super::error::HubError;
use super::name::{HubName, is_commit, is_sha256, plain_etag};
use super::options::{HubOptions, Token};
use super::refusal;

/// A list of files is a few kilobytes; of a repository with a million files, 100 MB.
const MAX_INFO: u64 = 100_000_000;
/// Hops from the hub to the bytes; two are usual.
const MAX_REDIRECTS: usize = 8;
/// A longer patience is none that anybody has, and may not be added to a point in time.
const MAX_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

/// Why a request failed, and whether the same request may still succeed.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The connection broke, or the server is overloaded.
    Passing(HubError),
    /// Asking again gives the same.
    Lasting(HubError),
}

impl From<HubError> for Trouble {
    fn from(error: HubError) -> Self {
        Self::Lasting(error)
    }
}

/// The files of a revision.
#[derive(Debug, Deserialize)]
struct RawInfo {
    sha: String,
    siblings: Vec<RawSibling>,
}

#[derive(Debug, Deserialize)]
struct RawSibling {
    rfilename: String,
}

/// A commit, and the names of its files.
#[derive(Debug)]
pub(super) struct Info {
    pub(super) commit: String,
    pub(super) names: BTreeSet<String>,
}

/// A file on the hub.
#[derive(Debug, Clone)]
pub(super) struct Remote {
    pub(super) name: String,
    /// What its content is called in the cache.
    pub(super) etag: String,
    pub(super) size: u64,
}

impl Remote {
    /// The SHA-256 of its content, which the hub knows of large files.
    pub(super) fn sha256(&self) -> Option<&str> {
        Some(self.etag.as_str()).filter(|etag| is_sha256(etag))
    }
}

/// A file's bytes, as far as the server will send them.
pub(super) struct Bytes {
    /// The first byte's place in the file: what was asked for, or 0.
    pub(super) start: u64,
    pub(super) body: Body,
    /// Who sends them.
    pub(super) host: String,
}

/// Speaks to one hub about one model.
pub(super) struct Client<'a> {
    agent: Agent,
    endpoint: Endpoint,
    token: Option<&'a Token>,
    name: &'a HubName,
    timeout: Duration,
    retries: u32,
    pause: Duration,
}

struct Reply {
    status: u16,
    headers: HeaderMap,
    body: Body,
    url: String,
    /// The commit that the file is of, which the hub says before it redirects.
    commit: Option<String>,
}

impl Reply {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Ask {
    /// The bytes, from this place on.
    Bytes(u64),
    /// What there is to say of a file.
    Head,
}

impl<'a> Client<'a> {
    pub(super) fn new(name: &'a HubName, options: &'a HubOptions) -> Result<Self, HubError> {
        let timeout = options.timeout.min(MAX_TIMEOUT);
        let agent = Agent::config_builder()
            // All of it is set here: ureq's defaults would come from the environment.
            .proxy(options.proxy.as_ref().map(|proxy| proxy.0.clone()))
            // Redirects are followed below, where the token is kept from strangers.
            .max_redirects(0)
            .http_status_as_error(false)
            .user_agent(concat!("massval/", env!("CARGO_PKG_VERSION")))
            // Sizes and tags are those of the bytes as they are.
            .accept_encoding("identity")
            .timeout_resolve(Some(timeout))
            .timeout_connect(Some(timeout))
            .timeout_recv_response(Some(timeout))
            .timeout_per_read(Some(timeout))
            .timeout_per_write(Some(timeout))
            .build()
            .new_agent();
        Ok(Self {
            agent,
            endpoint: Endpoint::new(&options.endpoint)?,
            token: options.token.as_ref(),
            name,
            timeout,
            retries: options.retries,
            pause: options.pause,
        })
    }

    /// The model that it speaks about.
    pub(super) fn name(&self) -> &HubName {
        self.name
    }

    /// Runs `attempt` again after passing trouble. An attempt says whether it got further than the
    /// one before: then the count starts anew.
    pub(super) fn persist<T>(
        &self,
        mut attempt: impl FnMut() -> (bool, Result<T, Trouble>),
    ) -> Result<T, HubError> {
        let mut failures = 0;
        loop {
            let (further, result) = attempt();
            if further {
                failures = 0;
            }
            match result {
                Ok(value) => return Ok(value),
                Err(Trouble::Passing(_)) if failures < self.retries => {
                    let wait = self.pause.saturating_mul(1 << failures.min(6));
                    std::thread::sleep(wait.min(Duration::from_secs(30)));
                    failures += 1;
                }
                Err(Trouble::Passing(error) | Trouble::Lasting(error)) => return Err(error),
            }
        }
    }

    /// Which commit a revision is, and which files it has.
    pub(super) fn info(&self, revision: &str) -> Result<Info, HubError> {
        let url = self.endpoint.info(self.name, revision);
        let bytes = self.persist(|| (false, self.read(&url, revision)))?;
        let wrong = |what: String| HubError::reply(self.name, what);
        let raw: RawInfo = serde_json::from_slice(&bytes).map_err(|error| {
            let error = refusal::short(&self.hide(&error.to_string()));
            wrong(format!(
                "{} is no hub: its list of files cannot be read ({error})",
                self.host(&url)
            ))
        })?;
        if !is_commit(&raw.sha) {
            return Err(wrong("the hub names a commit that is no commit's hash".to_owned()));
        }
        let names = raw.siblings.into_iter().map(|sibling| sibling.rfilename).collect();
        Ok(Info { commit: raw.sha, names })
    }

    fn read(&self, url: &str, revision: &str) -> Result<Vec<u8>, Trouble> {
        let mut reply = self.send(url, Ask::Bytes(0))?;
        if reply.status != 200 {
            return Err(self.refusal(&reply, refusal::Subject::Revision(revision)));
        }
        let body = reply.body.with_config().limit(MAX_INFO).read_to_vec();
        body.map_err(|error| self.broken(&reply.url, &error))
    }

    /// What a file of a commit is.
    pub(super) fn remote(&self, commit: &str, file: &str) -> Result<Remote, HubError> {
        self.persist(|| (false, self.head(commit, file)))
    }

    fn head(&self, commit: &str, file: &str) -> Result<Remote, Trouble> {
        let reply = self.send(&self.endpoint.file(self.name, commit, file), Ask::Head)?;
        let redirect = (300..400).contains(&reply.status);
        if reply.status != 200 && !redirect {
            return Err(self.refusal(&reply, refusal::Subject::File(file)));
        }
        let wrong = |what: &str| {
            HubError::reply(self.name, format!("{} said of {file} {what}", self.host(&reply.url)))
        };
        if reply.commit.as_deref() != Some(commit) {
            return Err(wrong("no commit, or not the one asked for").into());
        }
        // The linked ones are of the content; without them the reply's own are, if it has content.
        let own = reply.header("content-length").filter(|_| !redirect);
        let size = reply.header("x-linked-size").or(own);
        let size = size.and_then(|size| size.parse().ok()).ok_or_else(|| wrong("no size"))?;
        let etag = reply.header("x-linked-etag").or(reply.header("etag")).and_then(plain_etag);
        let etag = etag.ok_or_else(|| wrong("no usable entity tag"))?.to_owned();
        Ok(Remote { name: file.to_owned(), etag, size })
    }

    /// A file's bytes from `start` on, or all of them from a server that cannot skip.
    pub(super) fn bytes(
        &self,
        commit: &str,
        remote: &Remote,
        start: u64,
    ) -> Result<Bytes, Trouble> {
        let url = self.endpoint.file(self.name, commit, &remote.name);
        let reply = self.send(&url, Ask::Bytes(start))?;
        let start = match reply.status {
            200 => 0,
            206 => {
                let range = reply.header("content-range").and_then(first_of_range);
                if range != Some(start) {
                    let what =
                        format!("{} sent another part than asked for", self.host(&reply.url));
                    return Err(HubError::reply(self.name, what).into());
                }
                start
            }
            // What is here already is not a part of it.
            416 if start > 0 => return self.bytes(commit, remote, 0),
            _ => return Err(self.refusal(&reply, refusal::Subject::File(&remote.name))),
        };
        Ok(Bytes { start, body: reply.body, host: self.host(&reply.url) })
    }

    /// Sends a request and follows redirects. `Ask::Head` stops at the first reply that says what
    /// the file is: the hub knows it, the server that it redirects to knows its bytes.
    fn send(&self, url: &str, ask: Ask) -> Result<Reply, Trouble> {
        let (mut url, mut commit) = (url.to_owned(), None);
        for _ in 0..=MAX_REDIRECTS {
            let mut request = match ask {
                Ask::Bytes(_) => self.agent.get(&url),
                Ask::Head => self.agent.head(&url),
            };
            if let Ask::Bytes(start @ 1..) = ask {
                request = request.header("range", format!("bytes={start}-"));
            }
            if let Some(token) = self.token.filter(|_| self.endpoint.is_home_of(&url)) {
                request = request.header("authorization", token.header());
            }
            let response = request.call().map_err(|error| self.broken(&url, &error))?;
            let (parts, body) = response.into_parts();
            let status = parts.status.as_u16();
            let mut reply = Reply { status, headers: parts.headers, body, url, commit };
            if reply.commit.is_none() {
                reply.commit = reply.header("x-repo-commit").map(str::to_owned);
            }
            let told = ask == Ask::Head && reply.header("x-linked-etag").is_some();
            let location = match reply.status {
                301 | 302 | 303 | 307 | 308 if !told => reply.header("location"),
                _ => return Ok(reply),
            };
            let to = redirected(&reply.url, location.unwrap_or_default()).map_err(|what| {
                HubError::reply(self.name, format!("{} redirects {what}", self.host(&reply.url)))
            })?;
            (url, commit) = (to, reply.commit);
        }
        Err(HubError::reply(self.name, format!("{} redirects in circles", self.host(&url))).into())
    }

    /// A connection that could not be made, or broke.
    pub(super) fn broken(&self, url: &str, error: &ureq::Error) -> Trouble {
        let host = if url.contains("://") { self.host(url) } else { url.to_owned() };
        refusal::broken(self.name, &host, self.timeout, error, |text| self.hide(text))
    }

    fn refusal(&self, reply: &Reply, subject: refusal::Subject<'_>) -> Trouble {
        let code = reply.header("x-error-code").map(|code| self.hide(code));
        let known = refusal::Known {
            name: self.name,
            page: &self.endpoint.page(self.name),
            host: &self.host(&reply.url),
            token: self.token.is_some(),
            status: reply.status,
            code: code.as_deref(),
            message: &self.hide(reply.header("x-error-message").unwrap_or_default()),
        };
        refusal::refusal(&known, subject)
    }

    /// The host of an address, to be shown.
    fn host(&self, url: &str) -> String {
        self.hide(&host(url))
    }

    /// What another made up, without the token.
    fn hide(&self, text: &str) -> String {
        self.token.map_or_else(|| text.to_owned(), |token| token.hide(text))
    }
}

/// The first place of `bytes 5-9/10`.
fn first_of_range(header: &str) -> Option<u64> {
    header.trim().strip_prefix("bytes ")?.split('-').next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        assert_eq!(first_of_range("bytes 5-9/10"), Some(5));
        assert_eq!(first_of_range("bytes 0-0/*"), Some(0));
        for bad in ["", "bytes */10", "5-9/10", "bytes -1/2", "bytes x-9"] {
            assert_eq!(first_of_range(bad), None, "{bad:?}");
        }
    }
}
