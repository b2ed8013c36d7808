//! Where and how to fetch: values, so that no library reads the environment.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::error::HubError;

/// The public hub.
pub const ENDPOINT: &str = "https://huggingface.co";

/// Where and how models are fetched.
///
/// ```
/// use massval_models::hub::{HubOptions, Token};
///
/// let mut options = HubOptions::new("cache/huggingface/hub");
/// options.token = Some(Token::new("hf_secret")?);
/// assert!(!format!("{options:?}").contains("secret"));
/// # Ok::<(), massval_models::hub::HubError>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HubOptions {
    /// The cache's folder, laid out as all tools of the hub do (`HF_HUB_CACHE`). It need not exist.
    pub cache: PathBuf,
    /// Where the hub is (`HF_ENDPOINT`); [`ENDPOINT`] unless set.
    pub endpoint: String,
    /// For private and gated models (`HF_TOKEN`). Sent to the endpoint alone, never to where it
    /// redirects to.
    pub token: Option<Token>,
    /// Fetch nothing, use what the cache has (`HF_HUB_OFFLINE`).
    pub offline: bool,
    /// A proxy to go through.
    pub proxy: Option<Proxy>,
    /// How long a server may be silent before the connection counts as broken; 10 s unless set, a
    /// day at most.
    pub timeout: Duration,
    /// How often a broken connection is tried again without a byte gained; 5 unless set.
    pub retries: u32,
    /// The wait before the first retry; doubled for each further one. 500 ms unless set.
    pub pause: Duration,
}

impl HubOptions {
    /// The public hub without a token, and this cache.
    #[must_use]
    pub fn new(cache: impl Into<PathBuf>) -> Self {
        Self {
            cache: cache.into(),
            endpoint: ENDPOINT.to_owned(),
            token: None,
            offline: false,
            proxy: None,
            timeout: Duration::from_secs(10),
            retries: 5,
            pause: Duration::from_millis(500),
        }
    }
}

/// An access token. Nothing but a request's header shows what it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Takes a token, less the space around it.
    ///
    /// # Errors
    /// [`HubError::Option`], which does not repeat it, if it is empty or cannot stand in a header.
    pub fn new(text: &str) -> Result<Self, HubError> {
        let text = text.trim();
        if text.is_empty() || !text.bytes().all(|c| c.is_ascii_graphic()) {
            let what = "it is empty, or has characters that no token has; log in again";
            return Err(HubError::Option { option: "token", what: what.to_owned() });
        }
        Ok(Self(text.to_owned()))
    }

    pub(super) fn header(&self) -> String {
        format!("Bearer {}", self.0)
    }

    /// `text`, which a server may have made up, without the token.
    pub(super) fn hide(&self, text: &str) -> String {
        text.replace(&self.0, "***")
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

/// A proxy, and for which hosts it is not used. Its password is never shown.
#[derive(Clone)]
pub struct Proxy(pub(super) ureq::Proxy);

impl Proxy {
    /// Takes a proxy's address (`http://host:port`, `socks5://user:password@host:port`) and a list
    /// of hosts to reach without it: `host`, `.domain`, `*`, separated by commas.
    ///
    /// # Errors
    /// [`HubError::Option`], which does not repeat the address, if it is none.
    pub fn new(address: &str, except: &str) -> Result<Self, HubError> {
        let error = |_| HubError::Option {
            option: "proxy",
            what: "its address is not of the form http://host:port".to_owned(),
        };
        let given = ureq::Proxy::new(address.trim()).map_err(error)?;
        let mut proxy = ureq::Proxy::builder(given.protocol())
            .host(given.host())
            .port(given.port())
            .resolve_target(given.resolve_target());
        if let Some(user) = given.username() {
            proxy = proxy.username(user);
        }
        if let Some(password) = given.password() {
            proxy = proxy.password(password);
        }
        for host in except.split(',').map(str::trim).filter(|host| !host.is_empty()) {
            proxy = proxy.no_proxy(host);
        }
        proxy.build().map(Self).map_err(error)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({}:{})", self.0.host(), self.0.port())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "hf_QrStUvWx";

    #[test]
    fn no_debug_output_shows_a_secret() {
        let mut options = HubOptions::new("cache");
        options.token = Some(Token::new(&format!(" {SECRET}\n")).unwrap());
        options.proxy = Some(Proxy::new(&format!("http://me:{SECRET}@proxy:3128"), "").unwrap());
        for text in [format!("{options:?}"), format!("{options:#?}")] {
            assert!(!text.contains(SECRET) && text.contains("***"), "{text}");
        }
    }

    #[test]
    fn errors_do_not_repeat_a_bad_secret() {
        for bad in [format!("{SECRET}\n{SECRET}"), format!("{SECRET}é"), String::new()] {
            let error = Token::new(&bad).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hf_"), "{error:?}");
        }
        for bad in [format!("http://me:{SECRET}@"), format!("ftp://me:{SECRET}@proxy")] {
            let error = Proxy::new(&bad, "").unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hf_"), "{error:?}");
        }
    }

    #[test]
    fn what_a_server_says_is_shown_without_the_token() {
        let token = Token::new(SECRET).unwrap();
        assert_eq!(token.hide("bad token hf_QrStUvWx!"), "bad token ***!");
        assert_eq!(token.header(), "Bearer hf_QrStUvWx");
    }

    #[test]
    fn hosts_reached_without_the_proxy() {
        let proxy = Proxy::new("http://proxy:3128", "localhost, .corp").unwrap().0;
        let direct = |uri: &str| proxy.is_no_proxy(&uri.parse().unwrap());
        assert!(direct("http://localhost/x") && direct("http://a.corp/x"));
        assert!(!direct("https://huggingface.co/x"));
        assert_eq!((proxy.host(), proxy.port()), ("proxy", 3128));
    }
}
