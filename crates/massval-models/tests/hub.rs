//! Fetching from a hub: what arrives, what is asked for, and every fault that a network has.

mod hub_server;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hub_server::{COMMIT, Fault, HubServer, NAME, Repository, Served, TOKEN};
use massval_models::Error;
use massval_models::hub::{self, HubError, HubOptions, Snapshot, Token};
use tempfile::TempDir;

const SHARD: &str = "model-00002-of-00004.safetensors";
const INDEX: &str = "model.safetensors.index.json";

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

fn fixture() -> PathBuf {
    fixtures().join("models/llama-gqa-untied-sharded")
}

/// A hub with the sharded fixture, and a cache.
struct Case {
    server: HubServer,
    options: HubOptions,
    cache: TempDir,
}

impl Case {
    fn new(change: impl FnOnce(&mut Repository)) -> Self {
        let mut repository = Repository::of(&fixture());
        change(&mut repository);
        let server = HubServer::start(repository);
        let cache = tempfile::tempdir().unwrap();
        let mut options = HubOptions::new(cache.path().join("hub"));
        options.endpoint = server.endpoint();
        options.pause = Duration::from_millis(1);
        options.retries = 2;
        Self { server, options, cache }
    }

    fn fetch_at(&self, revision: &str) -> massval_models::Result<Snapshot> {
        hub::fetch(&NAME.parse().unwrap(), revision, &self.options, &mut |_, _| {})
    }

    fn fetch(&self) -> massval_models::Result<Snapshot> {
        self.fetch_at("main")
    }

    /// The error, whose texts hold all of `said` and no secret.
    #[track_caller]
    fn refused(&self, said: &[&str]) -> HubError {
        let error = self.fetch().unwrap_err();
        self.check(error, said)
    }

    #[track_caller]
    fn check(&self, error: Error, said: &[&str]) -> HubError {
        let (line, debug) = (error.to_string(), format!("{error:?}"));
        for part in said {
            assert!(line.contains(part), "no {part:?} in: {line}");
        }
        for secret in [TOKEN, "geheim"] {
            assert!(!line.contains(secret) && !debug.contains(secret), "{line}\n{debug}");
        }
        assert!(!line.contains('\n'), "{line}");
        match error {
            Error::Hub(error) => error,
            other => panic!("{other:?}"),
        }
    }

    /// Checks that the snapshot has the fixture's files, whole, and no others.
    #[track_caller]
    fn complete(&self, snapshot: &Snapshot) {
        let wanted = ["config.json", INDEX];
        for file in wanted.into_iter().map(str::to_owned).chain((1..=4).map(shard)) {
            let found = fs::read(snapshot.folder.join(&file)).unwrap();
            assert!(found == fs::read(fixture().join(&file)).unwrap(), "{file}");
        }
        assert_eq!(listing(&snapshot.folder).len(), 6);
        let blobs = listing(&self.model().join("blobs"));
        assert!(!blobs.iter().any(|name| name.ends_with(".incomplete")), "{blobs:?}");
    }

    fn model(&self) -> PathBuf {
        self.cache.path().join("hub/models--org--name")
    }

    /// Places from which the bytes of the second shard were asked for.
    fn starts(&self) -> Vec<usize> {
        let requests = self.server.requests().into_iter();
        requests
            .filter(|request| request.second && request.path.contains(SHARD))
            .map(|request| request.start.unwrap_or(0))
            .collect()
    }
}

fn shard(number: usize) -> String {
    format!("model-0000{number}-of-00004.safetensors")
}

fn listing(folder: &Path) -> Vec<String> {
    let entries = folder.read_dir().unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_sharded_model_arrives_in_the_shared_layout() {
    let case = Case::new(|_| {});
    let mut steps = Vec::new();
    let snapshot = hub::fetch(&NAME.parse().unwrap(), "main", &case.options, &mut |done, all| {
        steps.push((done, all));
    })
    .unwrap();
    case.complete(&snapshot);
    assert_eq!(snapshot.commit, COMMIT);
    assert_eq!(snapshot.folder, case.model().join("snapshots").join(COMMIT));
    assert_eq!(fs::read_to_string(case.model().join("refs/main")).unwrap(), COMMIT);
    let link = fs::read_link(snapshot.folder.join("config.json")).unwrap();
    assert!(link.starts_with("../../blobs"), "{link:?}");
    // The whole, and never backwards within it.
    let sizes = (1..=4).map(|number| fs::metadata(fixture().join(shard(number))).unwrap().len());
    let all: u64 = sizes.sum();
    assert_eq!(steps.last(), Some(&(all, all)));
    let steps: Vec<_> = steps.into_iter().filter(|step| step.1 == all).collect();
    assert!(steps.is_sorted());
    // The fixture's other files are no part of a model.
    let requests = case.server.requests();
    assert!(requests.iter().all(|request| !request.path.contains("expected")), "{requests:?}");
}

#[test]
fn what_is_there_is_not_fetched_again() {
    let case = Case::new(|_| {});
    case.fetch().unwrap();
    case.server.requests();
    let again = case.fetch().unwrap();
    case.complete(&again);
    let paths: Vec<_> = case.server.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(paths, [format!("/api/models/{NAME}/revision/main")]);
    // Another commit with one changed file costs that file.
    let next = "f".repeat(40);
    case.server.change(|repository| {
        repository.revisions.insert("main".to_owned(), next.clone());
        repository.file("config.json").bytes.push(b'\n');
    });
    assert_eq!(case.fetch().unwrap().commit, next);
    let requests = case.server.requests();
    let gets: Vec<_> = requests
        .iter()
        .filter(|request| request.method == "GET" && !request.path.starts_with("/api"))
        .map(|request| request.path.rsplit('/').next().unwrap())
        .collect();
    assert_eq!(gets, ["config.json"]);
    assert_eq!(listing(&case.model().join("snapshots")).len(), 2);
}

#[test]
fn branches_tags_and_commits() {
    let case = Case::new(|_| {});
    for revision in ["v1.0", "refs/pr/1", COMMIT] {
        assert_eq!(case.fetch_at(revision).unwrap().commit, COMMIT);
    }
    assert_eq!(listing(&case.model().join("refs")), ["refs", "v1.0"]);
    let error = case.fetch_at("v9").unwrap_err();
    let error = case.check(error, &["org/name at v9: there is no such branch, tag or commit"]);
    assert!(matches!(error, HubError::NotFound { .. }));
    for bad in ["../main", "..", "/etc/passwd", "a\\b", ""] {
        let error = case.fetch_at(bad).unwrap_err();
        assert!(matches!(error, Error::Hub(HubError::Revision { .. })), "{bad}: {error}");
    }
}

#[test]
fn safetensors_are_preferred_and_pickles_only_a_substitute() {
    let pickle = |repository: &mut Repository| {
        repository.files.insert("pytorch_model.bin".to_owned(), Served::new("pickle", true));
    };
    let both = Case::new(pickle);
    both.complete(&both.fetch().unwrap());
    let alone = Case::new(|repository| {
        pickle(repository);
        repository.files.retain(|name, _| !name.contains(".safetensors"));
    });
    let folder = alone.fetch().unwrap().folder;
    assert_eq!(listing(&folder), ["config.json", "pytorch_model.bin"]);
    let none = Case::new(|repository| repository.files.retain(|name, _| name == "config.json"));
    none.refused(&["org/name at main", "no weights (none of model.safetensors"]);
}

#[test]
fn pickles_in_shards_load() {
    let case = Case::new(|repository| {
        let config = repository.file("config.json").clone();
        repository.files = Repository::of(&fixtures().join("pytorch-llama/sharded")).files;
        repository.files.insert("config.json".to_owned(), config);
    });
    let snapshot = case.fetch().unwrap();
    let shards = ["pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"];
    let index = "pytorch_model.bin.index.json";
    assert_eq!(listing(&snapshot.folder), ["config.json", shards[0], shards[1], index]);
    let checkpoint = snapshot.inspect().unwrap();
    assert!(checkpoint.report.is_clean(), "{}", checkpoint.report);
    assert_eq!(checkpoint.format, "PyTorch");
    let hub = checkpoint.hub.unwrap();
    assert_eq!((hub.name.as_str(), hub.commit.as_str()), (NAME, COMMIT));
    case.server.change(|repository| drop(repository.files.remove(shards[1])));
    fs::remove_dir_all(&case.options.cache).unwrap();
    case.refused(&[index, "names the shard", shards[1]]);
}

#[test]
fn a_model_that_cannot_be_read_costs_no_weights() {
    for (config, said) in [
        (r#"{"model_type": "no-such-model"}"#, "no-such-model"),
        (r#"{"model_type": "llama", "quantization_config": {"quant_method": "fp8"}}"#, "FP8"),
        ("{", "config.json"),
    ] {
        let case = Case::new(|repository| repository.file("config.json").bytes = config.into());
        let error = case.fetch().unwrap_err().to_string();
        assert!(error.contains(said) && error.contains("config.json"), "{error}");
        assert!(case.server.requests().iter().all(|request| !request.second));
    }
}

#[test]
fn a_broken_connection_is_resumed() {
    let case = Case::new(|repository| repository.file(SHARD).fault = Some((Fault::Cut(10_000), 2)));
    case.complete(&case.fetch().unwrap());
    assert_eq!(case.starts(), [0, 10_000, 20_000]);
}

#[test]
fn the_next_run_resumes_what_this_one_could_not_finish() {
    let case = Case::new(|repository| repository.file(SHARD).fault = Some((Fault::Cut(7_000), 1)));
    let mut once = case.options.clone();
    once.retries = 0;
    let error = hub::fetch(&NAME.parse().unwrap(), "main", &once, &mut |_, _| {}).unwrap_err();
    case.check(error, &["org/name: the connection to 127.0.0.1", "broke", "run again to go on"]);
    assert!(!case.model().join("refs/main").exists(), "an incomplete snapshot is no revision");
    case.server.requests();
    case.complete(&case.fetch().unwrap());
    assert_eq!(case.starts(), [7_000]);
}

#[test]
fn a_connection_that_keeps_breaking_is_given_up() {
    let case = Case::new(|repository| repository.file(SHARD).fault = Some((Fault::Cut(0), 99)));
    let error = case.refused(&["org/name", "run again to go on"]);
    assert!(matches!(error, HubError::Connection { .. }));
    assert_eq!(case.starts().len(), 3);
}

#[test]
fn a_server_that_cannot_skip_sends_all_again() {
    let case = Case::new(|repository| repository.file(SHARD).fault = Some((Fault::Cut(9_000), 1)));
    case.options_retry_none_then(|| {
        case.server.change(|r| r.file(SHARD).fault = Some((Fault::IgnoreRange, 1)));
    });
    case.complete(&case.fetch().unwrap());
}

impl Case {
    /// A first run that breaks off, then a change.
    fn options_retry_none_then(&self, change: impl FnOnce()) {
        let mut once = self.options.clone();
        once.retries = 0;
        hub::fetch(&NAME.parse().unwrap(), "main", &once, &mut |_, _| {}).unwrap_err();
        change();
    }
}

#[test]
fn another_part_than_asked_for_is_refused() {
    let case = Case::new(|repository| repository.file(SHARD).fault = Some((Fault::Cut(9_000), 1)));
    case.options_retry_none_then(|| {
        case.server.change(|r| r.file(SHARD).fault = Some((Fault::OtherRange, 99)));
    });
    case.refused(&["sent another part than asked for"]);
}

#[test]
fn a_damaged_part_of_an_earlier_run_is_fetched_anew() {
    let case = Case::new(|repository| repository.file(SHARD).fault = Some((Fault::Cut(9_000), 1)));
    case.options_retry_none_then(|| {
        let blobs = case.model().join("blobs");
        let part = listing(&blobs).into_iter().find(|name| name.ends_with(".incomplete")).unwrap();
        fs::write(blobs.join(part), [7; 5_000]).unwrap();
        case.server.requests();
    });
    case.complete(&case.fetch().unwrap());
    assert_eq!(case.starts(), [5_000, 0]);
}

#[test]
fn a_part_longer_than_the_file_is_fetched_anew() {
    let case = Case::new(|repository| repository.file(SHARD).fault = Some((Fault::Cut(9_000), 1)));
    case.options_retry_none_then(|| {
        let blobs = case.model().join("blobs");
        let part = listing(&blobs).into_iter().find(|name| name.ends_with(".incomplete")).unwrap();
        fs::write(blobs.join(part), vec![7; 50_000]).unwrap();
    });
    case.complete(&case.fetch().unwrap());
}

#[test]
fn a_part_that_cannot_be_checked_is_not_continued() {
    let cut = Some((Fault::Cut(100), 1));
    let case = Case::new(|repository| repository.file("config.json").fault = cut);
    case.options_retry_none_then(|| {
        let blobs = case.model().join("blobs");
        let part = listing(&blobs).into_iter().find(|name| name.ends_with(".incomplete")).unwrap();
        fs::write(blobs.join(part), [b' '; 100]).unwrap();
    });
    case.complete(&case.fetch().unwrap());
}

#[test]
fn a_wrong_checksum_is_an_error_and_leaves_nothing() {
    let case = Case::new(|repository| repository.file(SHARD).fault = Some((Fault::Flip, 1)));
    let error = case.refused(&["org/name", SHARD, "SHA-256", "run again to fetch it anew"]);
    assert!(matches!(error, HubError::Damaged { .. }));
    let blobs = listing(&case.model().join("blobs"));
    assert!(!blobs.iter().any(|name| name.ends_with(".incomplete")), "{blobs:?}");
    assert!(!case.model().join("snapshots").join(COMMIT).join(SHARD).exists());
    case.complete(&case.fetch().unwrap());
}

#[test]
fn wrong_sizes_are_errors() {
    let longer = Case::new(|repository| repository.file(SHARD).fault = Some((Fault::Longer, 99)));
    longer.refused(&["sends more of", SHARD, "30144 bytes"]);
    let shorter = Case::new(|repository| repository.file(SHARD).fault = Some((Fault::Shorter, 99)));
    shorter.refused(&[SHARD, "30044 of the 30144 bytes"]);
}

#[test]
fn a_silent_server_is_given_up() {
    let mut case =
        Case::new(|repository| repository.file(SHARD).fault = Some((Fault::Stall(50), 99)));
    case.options.timeout = Duration::from_secs(1);
    case.options.retries = 0;
    case.refused(&["was silent for 1 s"]);
    // And what came before the silence was not for nothing.
    case.server.change(|repository| repository.file(SHARD).fault = None);
    case.server.requests();
    case.options.timeout = Duration::MAX;
    case.complete(&case.fetch().unwrap());
    assert_eq!(case.starts(), [50]);
}

#[test]
fn an_overloaded_server_is_asked_again() {
    let case = Case::new(|repository| repository.file(SHARD).fault = Some((Fault::Status(503), 2)));
    case.complete(&case.fetch().unwrap());
    assert_eq!(case.starts(), [0, 0, 0]);
    case.server.change(|repository| repository.status = Some(429));
    case.refused(&["too many requests", "HF_TOKEN"]);
    assert_eq!(case.server.requests().len(), 3);
}

#[test]
fn tokens_and_gates() {
    let mut case = Case::new(|repository| repository.token = Some(TOKEN.to_owned()));
    case.refused(&["org/name: there is no such model, or it is private", "set HF_TOKEN"]);
    case.options.token = Some(Token::new("hf_wrong").unwrap());
    let error = case.refused(&["does not accept the token", "make a new one", "Bearer ***"]);
    assert!(!format!("{error:?}").contains("hf_wrong"));
    case.options.token = Some(Token::new(TOKEN).unwrap());
    case.server.change(|repository| repository.gated = true);
    let page = format!("ask at {}/org/name", case.server.endpoint());
    let error = case.refused(&["gated", "has not been let in", &page]);
    assert!(matches!(error, HubError::Denied { .. }));
    case.server.change(|repository| repository.gated = false);
    case.complete(&case.fetch().unwrap());
}

#[test]
fn the_token_goes_to_the_hub_alone() {
    let mut case = Case::new(|repository| repository.token = Some(TOKEN.to_owned()));
    case.options.token = Some(Token::new(TOKEN).unwrap());
    case.fetch().unwrap();
    let (second, hub): (Vec<_>, Vec<_>) =
        case.server.requests().into_iter().partition(|request| request.second);
    assert_eq!(second.len(), 4);
    assert!(second.iter().all(|request| request.authorization.is_none()), "{second:?}");
    let sent = Some(format!("Bearer {TOKEN}"));
    assert!(hub.iter().all(|request| request.authorization == sent), "{hub:?}");
    assert!(!format!("{:?}", case.options).contains(TOKEN));
    for file in walk(case.cache.path()) {
        let bytes = fs::read(&file).unwrap();
        let held = bytes.windows(TOKEN.len()).any(|window| window == TOKEN.as_bytes());
        assert!(!held, "{}", file.display());
    }
}

#[test]
fn the_token_follows_a_file_within_the_hub() {
    let mut case = Case::new(|repository| {
        (repository.token, repository.moved) = (Some(TOKEN.to_owned()), true);
    });
    case.options.token = Some(Token::new(TOKEN).unwrap());
    case.complete(&case.fetch().unwrap());
    let requests = case.server.requests();
    assert!(requests.iter().any(|request| request.path.starts_with("/api/resolve-cache/")));
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(walk(&path)) } else { files.push(path) }
    }
    files
}

#[test]
fn no_such_model() {
    let case = Case::new(|_| {});
    let name = "org/other".parse().unwrap();
    let error = hub::fetch(&name, "main", &case.options, &mut |_, _| {}).unwrap_err();
    case.check(error, &["org/other: there is no such model: check the name"]);
    // A mirror that says no more than its status.
    case.server.change(|repository| repository.codes = false);
    let error = hub::fetch(&name, "main", &case.options, &mut |_, _| {}).unwrap_err();
    case.check(error, &["org/other at main: 127.0.0.1", "no such model or revision"]);
}

#[test]
fn a_missing_shard_is_found_before_the_rest_is_fetched() {
    let case = Case::new(|repository| drop(repository.files.remove(SHARD)));
    let error = case.refused(&["names the shard", SHARD, "upload is incomplete"]);
    assert!(matches!(error, HubError::Repository { .. }));
    assert!(case.server.requests().iter().all(|request| !request.second));
}

#[test]
fn a_file_that_is_listed_and_not_there() {
    let case = Case::new(|repository| {
        repository.file("config.json").fault = Some((Fault::Status(404), 99))
    });
    case.refused(&["does not have its file config.json"]);
}

#[test]
fn an_index_that_leads_out_of_the_folder() {
    for path in ["../../../evil", "/etc/passwd", "a\\\\b.safetensors", "a/b.safetensors"] {
        let case = Case::new(|repository| {
            let index = format!(r#"{{"weight_map": {{"w": "{path}"}}}}"#);
            repository.file(INDEX).bytes = index.into_bytes();
            repository.files.insert(path.replace("\\\\", "\\"), Served::new("evil", false));
        });
        let error = case.fetch().unwrap_err().to_string();
        assert!(error.contains("own folder") && error.contains(INDEX), "{error}");
        assert!(case.server.requests().iter().all(|request| !request.path.contains("evil")));
    }
}

#[test]
fn hostile_replies() {
    let etag = Case::new(|repository| {
        repository.file("config.json").etag = Some("../../../../evil".to_owned());
    });
    etag.refused(&["config.json", "no usable entity tag"]);
    let unsized_file = Case::new(|repository| repository.file(SHARD).sized = false);
    unsized_file.refused(&[SHARD, "no size"]);
    let mut list = Case::new(|repository| {
        repository.list = Some(serde_json::json!({ "sha": COMMIT, "siblings": TOKEN }));
    });
    list.options.token = Some(Token::new(TOKEN).unwrap());
    list.refused(&["is no hub", "***"]);
    let commit = Case::new(|repository| {
        repository.revisions.insert("main".to_owned(), "../../evil".to_owned());
    });
    commit.refused(&["a commit that is no commit's hash"]);
    let other = Case::new(|repository| repository.claims = Some("f".repeat(40)));
    other.refused(&["no commit, or not the one asked for"]);
    let mut nobody = Case::new(|_| {});
    nobody.options.endpoint = format!("{}/not/a/hub", nobody.server.endpoint());
    nobody.refused(&["there is no such model"]);
}

#[test]
fn nobody_listens() {
    let mut case = Case::new(|_| {});
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    case.options.endpoint = format!("http://{free}");
    let error = case.refused(&["org/name", &free.to_string()]);
    assert!(matches!(error, HubError::Connection { .. }));
    case.options.endpoint = "http://host.invalid".to_owned();
    case.refused(&["host.invalid"]);
}

#[test]
fn offline() {
    let mut case = Case::new(|_| {});
    case.options.offline = true;
    let error =
        case.refused(&["org/name at main: the model is not in the cache", "HF_HUB_OFFLINE"]);
    assert!(matches!(error, HubError::Offline { .. }));
    case.options.offline = false;
    let online = case.fetch().unwrap();
    case.server.requests();
    case.options.offline = true;
    assert_eq!(case.fetch().unwrap(), online);
    assert_eq!(case.fetch_at(COMMIT).unwrap(), online);
    let error = case.fetch_at("v1.0").unwrap_err();
    case.check(error, &["org/name at v1.0: the model is not in the cache"]);
    fs::remove_file(online.folder.join(SHARD)).unwrap();
    case.refused(&["its file", SHARD, "is not in the cache"]);
    fs::remove_file(online.folder.join("config.json")).unwrap();
    case.refused(&["its config.json, or its weights"]);
    assert!(case.server.requests().is_empty());
}

#[test]
fn two_at_once_fetch_each_file_once() {
    let case = Case::new(|_| {});
    std::thread::scope(|scope| {
        let runs = [(); 3].map(|()| scope.spawn(|| case.fetch().unwrap()));
        for run in runs {
            case.complete(&run.join().unwrap());
        }
    });
    assert_eq!(case.starts(), [0]);
}
