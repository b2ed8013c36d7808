//! The environment variables that all tools of the hub understand.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use massval::models::hub::{HubOptions, Proxy, Token};

use crate::output::Failure;

/// Reads `HF_HOME`, `HF_HUB_CACHE`, `HF_TOKEN`, `HF_TOKEN_PATH`, `HF_HUB_DISABLE_IMPLICIT_TOKEN`,
/// `HF_HUB_OFFLINE`, `HF_ENDPOINT`, `HF_HUB_DOWNLOAD_TIMEOUT`, the older names that some of them
/// had, and the proxies' variables through `lookup`. An empty one counts as not set.
pub fn hub_options(lookup: impl Fn(&str) -> Option<OsString>) -> Result<HubOptions, Failure> {
    let set = |name: &str| lookup(name).filter(|value| !value.is_empty());
    // A value may be a secret: it is not repeated.
    let text = |name: &str| match set(name).map(OsString::into_string) {
        Some(Err(_)) => Err(Failure::Work(format!("{name}: is not UTF-8"))),
        Some(Ok(value)) => Ok(Some(value)),
        None => Ok(None),
    };
    let user = set("HOME").map(PathBuf::from).or_else(std::env::home_dir);
    let path = |name: &str| set(name).map(|value| expand(value.into(), user.as_deref()));

    let home = path("HF_HOME")
        .or_else(|| Some(path("XDG_CACHE_HOME")?.join("huggingface")))
        .or_else(|| Some(user.as_ref()?.join(".cache/huggingface")));
    let cache = path("HF_HUB_CACHE")
        .or_else(|| path("HUGGINGFACE_HUB_CACHE"))
        .or_else(|| Some(home.as_ref()?.join("hub")));
    let no_home = || Failure::Work("there is no home folder: set HF_HOME".to_owned());
    let mut options = HubOptions::new(cache.ok_or_else(no_home)?);

    if let Some(endpoint) = text("HF_ENDPOINT")? {
        options.endpoint = endpoint;
    }
    if switch("HF_HUB_DISABLE_IMPLICIT_TOKEN", &text)? != Some(true) {
        options.token = match either(["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"], &text)? {
            Some(token) => Some(Token::new(&token)?),
            None => {
                let file = path("HF_TOKEN_PATH").or_else(|| Some(home?.join("token")));
                file.map(|file| token_file(&file)).transpose()?.flatten()
            }
        };
    }
    options.offline = match switch("HF_HUB_OFFLINE", &text)? {
        Some(offline) => offline,
        None => switch("TRANSFORMERS_OFFLINE", &text)?.unwrap_or(false),
    };
    if let Some(seconds) = text("HF_HUB_DOWNLOAD_TIMEOUT")? {
        let seconds = seconds.parse().ok().filter(|seconds| *seconds > 0);
        let wrong = || Failure::Work("HF_HUB_DOWNLOAD_TIMEOUT: is no count of seconds".to_owned());
        options.timeout = Duration::from_secs(seconds.ok_or_else(wrong)?);
    }
    let scheme = if options.endpoint.starts_with("http:") { "http" } else { "https" };
    for name in [&format!("{scheme}_proxy"), "all_proxy"] {
        if let Some(address) = either([name, &name.to_uppercase()], &text)? {
            let except = either(["no_proxy", "NO_PROXY"], &text)?.unwrap_or_default();
            options.proxy = Some(Proxy::new(&address, &except)?);
            break;
        }
    }
    Ok(options)
}

/// A variable that goes by two names, of which the first wins.
fn either(
    [name, other]: [&str; 2],
    text: &impl Fn(&str) -> Result<Option<String>, Failure>,
) -> Result<Option<String>, Failure> {
    match text(name)? {
        None => text(other),
        found => Ok(found),
    }
}

/// A variable that is on or off, in the words that all tools of the hub know.
fn switch(
    name: &str,
    text: &impl Fn(&str) -> Result<Option<String>, Failure>,
) -> Result<Option<bool>, Failure> {
    match text(name)?.map(|value| value.to_uppercase()).as_deref() {
        None => Ok(None),
        Some("1" | "ON" | "YES" | "TRUE") => Ok(Some(true)),
        Some("0" | "OFF" | "NO" | "FALSE") => Ok(Some(false)),
        Some(_) => Err(Failure::Work(format!("{name}: is neither 1 nor 0"))),
    }
}

/// The token that a login left.
fn token_file(path: &Path) -> Result<Option<Token>, Failure> {
    match std::fs::read_to_string(path) {
        Ok(token) if token.trim().is_empty() => Ok(None),
        Ok(token) => Ok(Some(Token::new(&token)?)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::Work(format!("{}: {error}", path.display()))),
    }
}

/// A path with the home folder in place of `~`.
fn expand(path: PathBuf, home: Option<&Path>) -> PathBuf {
    match (path.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(variables: &[(&str, &str)]) -> Result<HubOptions, String> {
        let lookup = |name: &str| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| OsString::from(value))
        };
        hub_options(lookup).map_err(|failure| match failure {
            Failure::Work(line) => line,
            Failure::Closed => "closed".to_owned(),
        })
    }

    #[test]
    fn where_the_cache_is() {
        for (variables, cache) in [
            (&[][..], "/home/me/.cache/huggingface/hub"),
            (&[("XDG_CACHE_HOME", "/x")], "/x/huggingface/hub"),
            (&[("HF_HOME", "/hf"), ("XDG_CACHE_HOME", "/x")], "/hf/hub"),
            (&[("HF_HOME", "~/hf")], "/home/me/hf/hub"),
            (&[("HF_HOME", "/hf"), ("HF_HUB_CACHE", "/cache")], "/cache"),
            (&[("HF_HOME", "/hf"), ("HUGGINGFACE_HUB_CACHE", "/old")], "/old"),
            (&[("HUGGINGFACE_HUB_CACHE", "/old"), ("HF_HUB_CACHE", "/cache")], "/cache"),
            (&[("HF_HOME", "")], "/home/me/.cache/huggingface/hub"),
        ] {
            let variables = [variables, &[("HOME", "/home/me")]].concat();
            assert_eq!(options(&variables).unwrap().cache, Path::new(cache), "{variables:?}");
        }
    }

    #[test]
    fn which_token() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().to_str().unwrap();
        let token = |more: &[(&str, &str)]| {
            options(&[&[("HF_HOME", folder)], more].concat()).unwrap().token
        };
        assert_eq!(token(&[]), None);
        std::fs::write(home.path().join("token"), "hf_file\n").unwrap();
        assert_eq!(token(&[]), Some(Token::new("hf_file").unwrap()));
        assert_eq!(token(&[("HF_TOKEN", "hf_env")]), Some(Token::new("hf_env").unwrap()));
        let old = ("HUGGING_FACE_HUB_TOKEN", "hf_old");
        assert_eq!(token(&[old]), Some(Token::new("hf_old").unwrap()));
        assert_eq!(token(&[old, ("HF_TOKEN", "hf_env")]), Some(Token::new("hf_env").unwrap()));
        assert_eq!(token(&[("HF_TOKEN_PATH", "/nowhere")]), None);
        assert_eq!(token(&[old, ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")]), None);
    }

    #[test]
    fn offline_endpoint_and_timeout() {
        let home = ("HF_HOME", "/hf");
        for (value, offline) in
            [("1", true), ("true", true), ("ON", true), ("0", false), ("", false)]
        {
            assert_eq!(options(&[home, ("HF_HUB_OFFLINE", value)]).unwrap().offline, offline);
        }
        let old = ("TRANSFORMERS_OFFLINE", "1");
        assert!(options(&[home, old]).unwrap().offline);
        assert!(!options(&[home, old, ("HF_HUB_OFFLINE", "0")]).unwrap().offline);
        let variables = [home, ("HF_ENDPOINT", "http://m"), ("HF_HUB_DOWNLOAD_TIMEOUT", "3")];
        let given = options(&variables).unwrap();
        assert_eq!((given.endpoint.as_str(), given.timeout.as_secs()), ("http://m", 3));
        for (variable, value) in [
            ("HF_HUB_OFFLINE", "maybe"),
            ("TRANSFORMERS_OFFLINE", "2"),
            ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "perhaps"),
            ("HF_HUB_DOWNLOAD_TIMEOUT", "0"),
        ] {
            assert!(options(&[home, (variable, value)]).unwrap_err().starts_with(variable));
        }
    }

    #[test]
    fn which_proxy() {
        let shown = |variables: &[(&str, &str)]| {
            let options = options(&[&[("HF_HOME", "/hf")], variables].concat()).unwrap();
            options.proxy.map(|proxy| format!("{proxy:?}"))
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(shown(&[]), None);
        let both = [("HTTPS_PROXY", "http://s:1"), ("http_proxy", "http://p:2")];
        assert_eq!(shown(&both), some("Proxy(s:1)"));
        assert_eq!(
            shown(&[&both[..], &[("HF_ENDPOINT", "http://m")]].concat()),
            some("Proxy(p:2)")
        );
        assert_eq!(shown(&[("ALL_PROXY", "http://me:pw@a:3")]), some("Proxy(a:3)"));
    }

    #[test]
    fn a_bad_secret_is_not_repeated() {
        let home = ("HF_HOME", "/hf");
        for variable in [("HF_TOKEN", "hf_ä geheim"), ("HTTPS_PROXY", "http://me:geheim@")] {
            let line = options(&[home, variable]).unwrap_err();
            assert!(!line.contains("geheim"), "{line}");
        }
    }
}
