//! Those who follow: one process with many sockets, each no more than a connection and a reader of frames. It counts what
//! arrives and how long after it was sent; the time of sending stands in the event itself.

use std::{
    io::ErrorKind,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpSocket, TcpStream},
    sync::{Semaphore, oneshot},
};

use super::{
    frame,
    part::{Part, lines_in, say},
};
use crate::measure::cpu_ms_of_process;

/// Stands around round and time in an event's text.
const MARK: &str = "@@";
/// Stands before the time that an event itself tells.
const AT: &[u8] = b"\"at\":\"";
/// Sockets that are opened at once.
const AT_ONCE: usize = 64;

/// What is said on a socket before events come.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Speech {
    /// Nothing: frames come from the first byte on.
    Nothing,
    /// An opening handshake.
    WebSocket,
    /// graphql-transport-ws: whose sockets they are, in turn, and what each subscribes to.
    GraphQl { tokens: Vec<String>, subscribe: Value },
}

/// Whom to follow.
#[derive(Debug, Serialize, Deserialize)]
struct Plan {
    address: SocketAddr,
    speech: Speech,
    count: usize,
}

/// What arrived since the last reset.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Report {
    /// Events, once for each socket.
    pub(super) arrived: usize,
    /// Events that a socket had before, or out of order.
    pub(super) again: usize,
    /// Sockets that were closed, and what was wrong with the first.
    pub(super) faults: usize,
    pub(super) fault: Option<String>,
    /// Bytes of the last event's frame.
    pub(super) frame_bytes: usize,
    /// From sending to arrival, in ms, sorted.
    pub(super) since_sent: Vec<f64>,
    /// From the time the event tells to arrival, in ms, sorted; empty when events tell none.
    pub(super) since_at: Vec<f64>,
    /// From sending to the last socket of each round, in ms.
    pub(super) last: Vec<f64>,
}

impl Report {
    pub(super) fn percentile(sorted: &[f64], percent: usize) -> f64 {
        sorted.get((sorted.len().max(1) - 1) * percent / 100).copied().unwrap_or(f64::NAN)
    }
}

/// The mark of an event of this round that is sent now.
pub(super) fn mark(round: usize) -> String {
    format!("{MARK}{round}:{}{MARK}", now().as_nanos())
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is set")
}

/// The process with the sockets, from outside.
pub(super) struct Sockets {
    part: Part,
    count: usize,
    /// How long it took to open all of them.
    pub(super) opened_in: Duration,
}

impl Sockets {
    /// Opens so many sockets.
    pub(super) async fn open(address: SocketAddr, speech: Speech, count: usize) -> Self {
        let (mut part, begun) = (Part::start("sockets"), Instant::now());
        part.tell(&json!(Plan { address, speech, count }).to_string());
        let mut sockets = Self { part, count, opened_in: Duration::ZERO };
        sockets.must_say("open", Duration::from_secs(300)).await;
        sockets.opened_in = begun.elapsed();
        sockets
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn cpu_ms(&self) -> f64 {
        cpu_ms_of_process(self.part.pid())
    }

    async fn must_say(&mut self, what: &str, patience: Duration) {
        if !self.says(what, patience).await {
            let report = self.report().await;
            panic!("not {what} in {patience:?}: {:?}, {} faults", report.fault, report.faults);
        }
    }

    async fn says(&mut self, what: &str, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while let Some(line) = self.part.hear(deadline.saturating_duration_since(Instant::now())).await {
            if line == what {
                return true;
            }
        }
        false
    }

    /// Waits until every socket was told something: whoever is told a position follows.
    pub(super) async fn all_follow(&mut self, patience: Duration) {
        self.must_say("all follow", patience).await;
    }

    /// Waits until the event of a round is at all sockets; false: it is not in that time.
    pub(super) async fn all_have(&mut self, round: usize, patience: Duration) -> bool {
        self.says(&format!("round {round}"), patience).await
    }

    /// Forgets what arrived so far.
    pub(super) fn reset(&mut self) {
        self.part.tell("reset");
    }

    /// What arrived since.
    pub(super) async fn report(&mut self) -> Report {
        self.part.tell("report");
        loop {
            let line = self.part.hear(Duration::from_secs(60)).await.expect("a report is given");
            if line.starts_with('{') {
                return serde_json::from_str(&line).unwrap();
            }
        }
    }
}

/// Plays the sockets: the first line on standard input is the plan, others are `reset` and `report`.
pub(super) fn play() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut lines = lines_in();
        let plan: Plan = serde_json::from_str(&lines.recv().await.expect("a plan is given")).unwrap();
        let all = Arc::new(All::new(plan));
        let opening = tokio::spawn(All::open(all.clone()));
        while let Some(line) = lines.recv().await {
            match line.as_str() {
                "reset" => all.lock().report = Report::default(),
                "report" => say(&all.lock().report()),
                _ => panic!("{line} means nothing"),
            }
        }
        opening.abort();
    });
}

/// All sockets.
struct All {
    plan: Plan,
    opening: String,
    subscribe: Vec<u8>,
    tally: Mutex<Tally>,
}

struct Tally {
    /// Where every socket reads into: one thread reads all of them, one after the other.
    buffer: Vec<u8>,
    /// Sockets that were told something.
    following: usize,
    /// Sockets that the newest round has reached.
    round: (usize, usize),
    report: Report,
}

impl Tally {
    fn report(&mut self) -> String {
        self.report.since_sent.sort_by(f64::total_cmp);
        self.report.since_at.sort_by(f64::total_cmp);
        json!(self.report).to_string()
    }

    fn fault(&mut self, fault: String) {
        self.report.faults += 1;
        self.report.fault.get_or_insert(fault);
    }
}

/// What one socket knows.
struct Socket {
    stream: TcpStream,
    /// The beginning of what has not come whole.
    rest: Vec<u8>,
    open: bool,
    following: bool,
    round: usize,
    ready: Option<oneshot::Sender<()>>,
    token: String,
}

impl All {
    fn new(plan: Plan) -> Self {
        let (path, subscribe) = match &plan.speech {
            Speech::GraphQl { subscribe, .. } => {
                let message = json!({ "id": "1", "type": "subscribe", "payload": subscribe }).to_string();
                ("/graphql/ws", frame::masked(frame::TEXT, message.as_bytes()))
            }
            Speech::Nothing | Speech::WebSocket => ("/", Vec::new()),
        };
        let opening = frame::opening(&plan.address.to_string(), path);
        let tally = Tally { buffer: vec![0; 64 * 1024], following: 0, round: (0, 0), report: Report::default() };
        Self { plan, opening, subscribe, tally: Mutex::new(tally) }
    }

    fn lock(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap()
    }

    /// Opens all, a few at a time, and says so.
    async fn open(self: Arc<Self>) {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        for n in 0..self.plan.count {
            let place = places.clone().acquire_owned().await.unwrap();
            let (all, (ready, is_ready)) = (self.clone(), oneshot::channel());
            tokio::spawn(async move {
                if let Err(fault) = all.follow(n, ready).await {
                    all.lock().fault(fault);
                }
            });
            tokio::spawn(async move {
                let _ = is_ready.await;
                drop(place);
            });
        }
        let _all = places.acquire_many(u32::try_from(AT_ONCE).unwrap()).await.unwrap();
        say("open");
    }

    async fn follow(&self, n: usize, ready: oneshot::Sender<()>) -> Result<(), String> {
        let socket = TcpSocket::new_v4().map_err(|error| error.to_string())?;
        // Several addresses: one has ports for some 28,000 connections, and those of the last run are not free at once.
        let from = SocketAddr::from(([127, 0, 0, 2 + u8::try_from(n % 16).unwrap()], 0));
        socket.bind(from).map_err(|error| error.to_string())?;
        let stream = socket.connect(self.plan.address).await.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let token = match &self.plan.speech {
            Speech::GraphQl { tokens, .. } => tokens[n % tokens.len()].clone(),
            Speech::Nothing | Speech::WebSocket => String::new(),
        };
        let mut socket =
            Socket { stream, rest: Vec::new(), open: false, following: false, round: 0, ready: Some(ready), token };
        if matches!(self.plan.speech, Speech::Nothing) {
            socket.open = true;
            socket.ready = None;
        } else {
            socket.stream.write_all(self.opening.as_bytes()).await.map_err(|error| error.to_string())?;
        }
        loop {
            socket.stream.readable().await.map_err(|error| error.to_string())?;
            if let Some(answer) = self.read(&mut socket)? {
                socket.stream.write_all(&answer).await.map_err(|error| error.to_string())?;
            }
        }
    }

    /// Reads what there is; gives what to answer.
    fn read(&self, socket: &mut Socket) -> Result<Option<Vec<u8>>, String> {
        let mut tally = self.lock();
        let mut buffer = std::mem::take(&mut tally.buffer);
        let read = socket.stream.try_read(&mut buffer);
        let at = now();
        let done = match read {
            Ok(0) => Err("closed by the server".to_owned()),
            Ok(len) if socket.rest.is_empty() => self.take_in(socket, &mut tally, &buffer[..len], at),
            Ok(len) => {
                let mut bytes = std::mem::take(&mut socket.rest);
                bytes.extend(&buffer[..len]);
                self.take_in(socket, &mut tally, &bytes, at)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error.to_string()),
        };
        tally.buffer = buffer;
        done
    }

    fn take_in(
        &self,
        socket: &mut Socket,
        tally: &mut Tally,
        mut bytes: &[u8],
        at: Duration,
    ) -> Result<Option<Vec<u8>>, String> {
        let mut answer = Vec::new();
        if !socket.open {
            let Some(end) = find(bytes, b"\r\n\r\n") else {
                socket.rest = bytes.to_vec();
                return Ok(None);
            };
            if !bytes.starts_with(b"HTTP/1.1 101") {
                return Err(String::from_utf8_lossy(bytes).into_owned());
            }
            bytes = &bytes[end + 4..];
            socket.open = true;
            if matches!(self.plan.speech, Speech::GraphQl { .. }) {
                let payload = json!({ "Authorization": format!("Bearer {}", socket.token) });
                let init = json!({ "type": "connection_init", "payload": payload }).to_string();
                answer.extend(frame::masked(frame::TEXT, init.as_bytes()));
            } else {
                socket.ready = None;
            }
        }
        while let Some((opcode, payload, len)) = frame::read(bytes) {
            match opcode {
                frame::TEXT => self.told(socket, tally, payload, len, at, &mut answer)?,
                frame::PING => answer.extend(frame::masked(frame::PONG, payload)),
                frame::CLOSE => return Err(format!("closed: {}", String::from_utf8_lossy(payload))),
                _ => {}
            }
            bytes = &bytes[len..];
        }
        socket.rest = bytes.to_vec();
        Ok((!answer.is_empty()).then_some(answer))
    }

    fn told(
        &self,
        socket: &mut Socket,
        tally: &mut Tally,
        text: &[u8],
        len: usize,
        at: Duration,
        answer: &mut Vec<u8>,
    ) -> Result<(), String> {
        if let Some((round, sent)) = marked(text) {
            self.follows(socket, tally);
            tally.report.frame_bytes = len;
            arrived(socket, tally, round, ms_between(sent, at));
            tally.report.since_at.extend(told_at(text).map(|told| ms_between(told, at)));
            if tally.round == (round, self.plan.count) {
                tally.report.last.push(ms_between(sent, at));
                say(&format!("round {round}"));
            }
            return Ok(());
        }
        let message: Value = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        match message["type"].as_str() {
            Some("connection_ack") => {
                answer.extend(&self.subscribe);
                socket.ready = None;
            }
            // A position, or an event from before.
            Some("next") if message["payload"]["errors"].is_null() => self.follows(socket, tally),
            Some("ping" | "pong") => {}
            _ => return Err(String::from_utf8_lossy(text).into_owned()),
        }
        Ok(())
    }

    fn follows(&self, socket: &mut Socket, tally: &mut Tally) {
        if !std::mem::replace(&mut socket.following, true) {
            tally.following += 1;
            if tally.following == self.plan.count {
                say("all follow");
            }
        }
    }
}

fn arrived(socket: &mut Socket, tally: &mut Tally, round: usize, after_ms: f64) {
    if round <= socket.round {
        tally.report.again += 1;
        return;
    }
    socket.round = round;
    if tally.round.0 < round {
        tally.round = (round, 0);
    }
    if tally.round.0 == round {
        tally.round.1 += 1;
    }
    tally.report.arrived += 1;
    tally.report.since_sent.push(after_ms);
}

fn ms_between(from: Duration, to: Duration) -> f64 {
    (to.as_secs_f64() - from.as_secs_f64()) * 1_000.0
}

/// Round and time of sending of an event.
fn marked(text: &[u8]) -> Option<(usize, Duration)> {
    let begin = find(text, MARK.as_bytes())? + MARK.len();
    let end = begin + find(&text[begin..], MARK.as_bytes())?;
    let (round, nanos) = std::str::from_utf8(&text[begin..end]).ok()?.split_once(':')?;
    Some((round.parse().ok()?, Duration::from_nanos(nanos.parse().ok()?)))
}

/// When it happened, as the event tells.
fn told_at(text: &[u8]) -> Option<Duration> {
    let begin = find(text, AT)? + AT.len();
    let end = begin + text[begin..].iter().position(|byte| *byte == b'"')?;
    let at = chrono::DateTime::parse_from_rfc3339(std::str::from_utf8(&text[begin..end]).ok()?).ok()?;
    Some(Duration::from_nanos(u64::try_from(at.timestamp_nanos_opt()?).ok()?))
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
