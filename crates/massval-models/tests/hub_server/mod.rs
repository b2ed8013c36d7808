//! A hub on this machine, with one model and whatever faults a test wants.
//!
//! It speaks what a client needs of the protocol: the list of a revision's files, `resolve` with
//! `HEAD`, `GET` and `Range`, entity tags and sizes, and for large files the redirect to a second
//! server, which has the bytes and must not see the token.

#![allow(dead_code)] // each test uses its part

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use sha2::{Digest, Sha256};

pub const NAME: &str = "org/name";
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
/// A token that no output may show.
pub const TOKEN: &str = "hf_TopSecretTopSecret";

/// The model that a server has, and how it behaves.
#[derive(Clone)]
pub struct Repository {
    pub files: BTreeMap<String, Served>,
    /// What branches and tags stand for.
    pub revisions: BTreeMap<String, String>,
    /// The token that is needed.
    pub token: Option<String>,
    /// Nobody is let in. The list of files is shown nevertheless, as the public hub does.
    pub gated: bool,
    /// Whether small files are redirected to another place of the hub, as the public one does.
    pub moved: bool,
    /// The list of files, if not the right one.
    pub list: Option<serde_json::Value>,
    /// Whether refusals say more than their status.
    pub codes: bool,
    /// The commit that `resolve` claims, if not the one asked for.
    pub claims: Option<String>,
    /// Refuses everything.
    pub status: Option<u16>,
}

/// One file.
#[derive(Clone)]
pub struct Served {
    pub bytes: Vec<u8>,
    /// Whether its bytes lie on the second server, under their SHA-256.
    pub large: bool,
    /// The entity tag, if not the right one.
    pub etag: Option<String>,
    /// Whether the redirect of a large file says its size.
    pub sized: bool,
    /// What goes wrong with its bytes, and how often.
    pub fault: Option<(Fault, usize)>,
}

/// What goes wrong when bytes are sent.
#[derive(Clone, Copy, PartialEq)]
pub enum Fault {
    /// The connection is closed after so many bytes.
    Cut(usize),
    /// Nothing more comes after so many bytes.
    Stall(usize),
    /// One byte is another.
    Flip,
    /// More comes than there is.
    Longer,
    /// Less comes than there is, and says so.
    Shorter,
    /// The whole file comes, whatever part was asked for.
    IgnoreRange,
    /// Another part comes than was asked for.
    OtherRange,
    /// A status instead of bytes.
    Status(u16),
}

impl Repository {
    /// The files of a folder; weights are large files.
    pub fn of(folder: &Path) -> Self {
        let mut files = BTreeMap::new();
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let entry = entry.expect("an entry");
            let name = entry.file_name().into_string().expect("a name in UTF-8");
            let bytes = std::fs::read(entry.path()).expect("a file");
            let large = [".safetensors", ".bin"].iter().any(|end| name.ends_with(end));
            files.insert(name, Served::new(bytes, large));
        }
        Self {
            files,
            revisions: ["main", "v1.0", "refs/pr/1"]
                .map(|name| (name.to_owned(), COMMIT.to_owned()))
                .into(),
            token: None,
            gated: false,
            moved: false,
            list: None,
            codes: true,
            claims: None,
            status: None,
        }
    }

    pub fn file(&mut self, name: &str) -> &mut Served {
        self.files.get_mut(name).unwrap_or_else(|| panic!("no file {name}"))
    }
}

impl Served {
    pub fn new(bytes: impl Into<Vec<u8>>, large: bool) -> Self {
        Self { bytes: bytes.into(), large, etag: None, sized: true, fault: None }
    }

    fn etag(&self) -> String {
        let sha256: String =
            Sha256::digest(&self.bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        let own = if self.large { sha256 } else { sha256[..40].to_owned() };
        self.etag.clone().unwrap_or(own)
    }
}

/// A request that came.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// To the second server.
    pub second: bool,
    pub method: String,
    pub path: String,
    /// The place that bytes were asked for from.
    pub start: Option<usize>,
    pub authorization: Option<String>,
}

struct Shared {
    repository: Mutex<Repository>,
    requests: Mutex<Vec<Request>>,
    second: SocketAddr,
    ended: AtomicBool,
}

/// A running hub; it ends with this value.
pub struct HubServer {
    shared: Arc<Shared>,
    addresses: [SocketAddr; 2],
    threads: Vec<JoinHandle<()>>,
}

impl HubServer {
    pub fn start(repository: Repository) -> Self {
        let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
        let addresses = listeners.each_ref().map(|l| l.local_addr().expect("an address"));
        let shared = Arc::new(Shared {
            repository: Mutex::new(repository),
            requests: Mutex::default(),
            second: addresses[1],
            ended: AtomicBool::new(false),
        });
        let serve = |(listener, second): (TcpListener, bool)| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                for stream in listener.incoming() {
                    if shared.ended.load(Ordering::Relaxed) {
                        return;
                    }
                    let (shared, stream) = (Arc::clone(&shared), stream.expect("a connection"));
                    // A client that hangs up is part of the tests.
                    thread::spawn(move || drop(answer(&shared, stream, second)));
                }
            })
        };
        let threads = listeners.into_iter().zip([false, true]).map(serve).collect();
        Self { shared, addresses, threads }
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.addresses[0])
    }

    /// The requests so far; they are forgotten with that.
    pub fn requests(&self) -> Vec<Request> {
        std::mem::take(&mut *self.shared.requests.lock().expect("no panic"))
    }

    /// Changes what is served.
    pub fn change(&self, change: impl FnOnce(&mut Repository)) {
        change(&mut self.shared.repository.lock().expect("no panic"));
    }
}

impl Drop for HubServer {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        for address in self.addresses {
            drop(TcpStream::connect(address));
        }
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

fn answer(shared: &Shared, stream: TcpStream, second: bool) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut request = Request { second, method, path, ..Request::default() };
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.trim().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "authorization" => request.authorization = Some(value.to_owned()),
            "range" => {
                let start = value.trim_start_matches("bytes=").trim_end_matches('-');
                request.start = Some(start.parse().expect("an open range"));
            }
            _ => {}
        }
    }
    shared.requests.lock().expect("no panic").push(request.clone());
    reply(shared, &request, stream)
}

fn reply(shared: &Shared, request: &Request, mut stream: TcpStream) -> std::io::Result<()> {
    let repository = shared.repository.lock().expect("no panic").clone();
    if request.second {
        let name = request.path.trim_start_matches("/bytes/").split('?').next().unwrap_or_default();
        return send(shared, name, request, &mut stream);
    }
    let refuse = |stream: &mut TcpStream, status, code: &str, said: &str| {
        let mut headers = Vec::new();
        if repository.codes {
            let code = ("X-Error-Code", code.to_owned());
            headers.extend([code, ("X-Error-Message", said.to_owned())]);
        }
        head(stream, status, &headers, 0)
    };
    if let Some(status) = repository.status {
        return refuse(&mut stream, status, "", "");
    }
    let info = format!("/api/models/{NAME}/revision/");
    let moved = format!("/api/resolve-cache/models/{NAME}/");
    let prefixes = [&info, &format!("/{NAME}/resolve/"), &moved];
    let Some(rest) = prefixes.into_iter().find_map(|prefix| request.path.strip_prefix(prefix))
    else {
        return refuse(&mut stream, 404, "RepoNotFound", "Repository not found");
    };
    if let Some(token) = &repository.token {
        let shown = repository.gated && request.path.starts_with(&info);
        match &request.authorization {
            None if shown => {}
            None if repository.gated => {
                return refuse(&mut stream, 401, "GatedRepo", "Access is restricted");
            }
            None => {
                return refuse(&mut stream, 401, "RepoNotFound", "Invalid username or password.");
            }
            // Servers have been seen to repeat what they were sent.
            Some(sent) if *sent != format!("Bearer {token}") => {
                return refuse(&mut stream, 401, "", &format!("Invalid credentials: {sent}"));
            }
            Some(_) if repository.gated && !shown => {
                return refuse(&mut stream, 403, "GatedRepo", "Access is restricted");
            }
            Some(_) => {}
        }
    }
    let (revision, file) = rest.split_once('/').unwrap_or((rest, ""));
    let revision = revision.replace("%2F", "/");
    let commit = match repository.revisions.get(&revision) {
        Some(commit) => commit.clone(),
        None if repository.revisions.values().any(|commit| *commit == revision) => revision,
        None => return refuse(&mut stream, 404, "RevisionNotFound", "Invalid rev id"),
    };
    if file.is_empty() {
        let siblings: Vec<_> =
            repository.files.keys().map(|name| serde_json::json!({ "rfilename": name })).collect();
        let body = serde_json::json!({ "id": NAME, "sha": commit, "siblings": siblings });
        let body = repository.list.unwrap_or(body).to_string();
        head(&mut stream, 200, &[], body.len())?;
        return stream.write_all(body.as_bytes());
    }
    let Some(served) = repository.files.get(file) else {
        return refuse(&mut stream, 404, "EntryNotFound", "Entry not found");
    };
    let mut headers = vec![("X-Repo-Commit", repository.claims.unwrap_or(commit))];
    if served.large {
        headers.push(("X-Linked-Etag", format!("\"{}\"", served.etag())));
        if served.sized {
            headers.push(("X-Linked-Size", served.bytes.len().to_string()));
        }
        let to = format!("http://{}/bytes/{file}?signature=geheim", shared.second);
        headers.push(("Location", to));
        return head(&mut stream, 302, &headers, 0);
    }
    if repository.moved && !request.path.starts_with(&moved) {
        headers.push(("Location", format!("{moved}{rest}")));
        return head(&mut stream, 307, &headers, 0);
    }
    headers.push(("ETag", format!("\"{}\"", served.etag())));
    if request.method == "HEAD" {
        return head(&mut stream, 200, &headers, served.bytes.len());
    }
    send(shared, file, request, &mut stream)
}

/// Sends a file's bytes, with its fault.
fn send(
    shared: &Shared,
    name: &str,
    request: &Request,
    stream: &mut TcpStream,
) -> std::io::Result<()> {
    let (mut bytes, fault) = {
        let mut repository = shared.repository.lock().expect("no panic");
        let served = repository.file(name);
        let fault = match &mut served.fault {
            Some((fault, times @ 1..)) => {
                *times -= 1;
                Some(*fault)
            }
            _ => None,
        };
        (served.bytes.clone(), fault)
    };
    let all = bytes.len();
    match fault {
        Some(Fault::Status(status)) => return head(stream, status, &[], 0),
        Some(Fault::Flip) => bytes[all / 2] ^= 1,
        Some(Fault::Longer) => bytes.extend([0; 100]),
        Some(Fault::Shorter) => bytes.truncate(all - 100),
        _ => {}
    }
    match request.start.filter(|_| fault != Some(Fault::IgnoreRange)) {
        None => head(stream, 200, &[], bytes.len())?,
        Some(start) if start >= bytes.len() => return head(stream, 416, &[], 0),
        Some(start) => {
            bytes.drain(..start);
            let start = if fault == Some(Fault::OtherRange) { start - 1 } else { start };
            let range = format!("bytes {start}-{}/{all}", all - 1);
            head(stream, 206, &[("Content-Range", range)], bytes.len())?;
        }
    }
    match fault {
        Some(Fault::Cut(count)) => stream.write_all(&bytes[..count.min(bytes.len())]),
        Some(Fault::Stall(count)) => {
            stream.write_all(&bytes[..count.min(bytes.len())])?;
            stream.flush()?;
            while !shared.ended.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(10));
            }
            Ok(())
        }
        _ => stream.write_all(&bytes),
    }
}

fn head(
    stream: &mut TcpStream,
    status: u16,
    headers: &[(&str, String)],
    length: usize,
) -> std::io::Result<()> {
    let mut text =
        format!("HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {length}\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{text}\r\n").as_bytes())
}
