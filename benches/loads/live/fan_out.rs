//! One event to everybody who follows a project, beside the bare `write` of as many bytes to as many connections and a bare
//! WebSocket server, in turns.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::{
    reference::Reference,
    room::{Room, Saver},
    sockets::{Report, Sockets, Speech, mark},
};
use crate::{
    measure::{cpu_ms_of_process, median, resident_mib},
    print,
    server::Server,
};

const SUBSCRIBERS: usize = 5_000;
/// Turns, an odd number, and events of each.
const TURNS: usize = 3;
const EVENTS: usize = 7;
/// Between two events.
const PAUSE: Duration = Duration::from_secs(1);
/// How long an event may take before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(20);

/// Who sends what to whom.
struct Side {
    name: &'static str,
    pid: u32,
    sender: Sender,
    sockets: Sockets,
    round: usize,
    /// CPU time of the server a delivery, in µs, of each turn.
    cpu_us: Vec<f64>,
    /// The same of those who follow.
    client_us: Vec<f64>,
}

enum Sender {
    Saver(Box<Saver>),
    /// Sends frames of so many bytes.
    Reference(Box<Reference>, usize),
}

impl Sender {
    async fn publish(&mut self, round: usize) {
        match self {
            Self::Saver(saver) => saver.publish(round).await,
            Self::Reference(reference, bytes) => {
                let (mark, head) = (mark(round), 4);
                let filling = bytes.saturating_sub(mark.len() + head);
                reference.part.tell(&format!("{mark}{}", "x".repeat(filling)));
            }
        }
    }
}

impl Side {
    fn new(name: &'static str, pid: u32, sender: Sender, sockets: Sockets) -> Self {
        Self { name, pid, sender, sockets, round: 0, cpu_us: Vec::new(), client_us: Vec::new() }
    }

    /// Events until one is at all sockets: then all of them follow.
    async fn warm(&mut self) {
        for _ in 0..5 {
            self.round += 1;
            self.sender.publish(self.round).await;
            if self.sockets.all_have(self.round, PATIENCE).await {
                sleep(PAUSE).await;
                self.sockets.reset();
                return;
            }
        }
        let report = self.sockets.report().await;
        panic!("{}: {} faults, {:?}", self.name, report.faults, report.fault);
    }

    async fn turn(&mut self) {
        let (cpu, client) = (cpu_ms_of_process(self.pid), self.sockets.cpu_ms());
        for _ in 0..EVENTS {
            let next = Instant::now() + PAUSE;
            self.round += 1;
            self.sender.publish(self.round).await;
            // What is lost is counted in the end.
            self.sockets.all_have(self.round, PATIENCE).await;
            sleep_until(next).await;
        }
        let deliveries = (EVENTS * self.sockets.count()) as f64;
        self.cpu_us.push((cpu_ms_of_process(self.pid) - cpu) * 1_000.0 / deliveries);
        self.client_us.push((self.sockets.cpu_ms() - client) * 1_000.0 / deliveries);
    }

    fn cpu_us(&self) -> f64 {
        median(self.cpu_us.clone())
    }

    /// The median of the turns' ratios.
    fn times(&self, other: &Self) -> f64 {
        median(self.cpu_us.iter().zip(&other.cpu_us).map(|(ours, theirs)| ours / theirs).collect())
    }
}

/// The load, with fewer subscribers when asked for.
pub(crate) async fn run(subscribers: Option<usize>) {
    let count = subscribers.unwrap_or(SUBSCRIBERS);
    let server = Server::start(None).await;
    let room = Room::open(&server).await;
    let saver = Sender::Saver(Box::new(room.saver().await));
    sleep(PAUSE).await;
    let (empty_mib, cpu) = (resident_mib(server.pid()), cpu_ms_of_process(server.pid()));
    let sockets = Sockets::open(server.address(), room.speech(), count).await;
    sleep(PAUSE).await;
    let connect_ms = (cpu_ms_of_process(server.pid()) - cpu) / count as f64;
    let connect_s = sockets.opened_in.as_secs_f64();
    let mut ours = Side::new("concord", server.pid(), saver, sockets);
    ours.warm().await;
    let full_mib = resident_mib(server.pid());
    ours.round += 1;
    ours.sender.publish(ours.round).await;
    ours.sockets.all_have(ours.round, PATIENCE).await;
    let bytes = ours.sockets.report().await.frame_bytes;
    ours.sockets.reset();
    let mut send = reference("send", Speech::Nothing, count, bytes).await;
    let mut tungstenite = reference("tungstenite", Speech::WebSocket, count, bytes).await;
    for _ in 0..TURNS {
        for side in [&mut send, &mut ours, &mut tungstenite] {
            side.turn().await;
        }
    }

    let called = |what: &str| format!("fan-out to {count}: {what}");
    let beside = format!(
        "aim 1.3: {:.2} times a bare write's {:.1}; bare tungstenite {:.2} times, {:.1}; {bytes} bytes",
        ours.times(&send),
        send.cpu_us(),
        tungstenite.times(&send),
        tungstenite.cpu_us()
    );
    print(&called("server CPU a delivery"), ours.cpu_us(), "us", &beside);
    let reports = [ours.sockets.report().await, send.sockets.report().await, tungstenite.sockets.report().await];
    let lost = |report: &Report| TURNS * EVENTS * count - report.arrived;
    for (side, report) in [&ours, &send, &tungstenite].into_iter().zip(&reports) {
        assert!(report.faults == 0, "{}: {} faults, {:?}", side.name, report.faults, report.fault);
    }
    let [report, send_report, tungstenite_report] = &reports;
    let beside = format!("of {}; {} came again", TURNS * EVENTS * count, report.again);
    print(&called("lost"), lost(report) as f64, "", &beside);
    for (what, percent, aim) in [("p50", 50, ""), ("p99", 99, "aim 130; "), ("most", 100, "")] {
        let at = |report: &Report| Report::percentile(&report.since_sent, percent);
        let beside = format!("{aim}bare write {:.1}, bare tungstenite {:.1}", at(send_report), at(tungstenite_report));
        print(&called(&format!("before the save to arrival, {what}")), at(report), "ms", &beside);
    }
    let last = |report: &Report| {
        let mut last = report.last.clone();
        last.sort_by(f64::total_cmp);
        Report::percentile(&last, 50)
    };
    let beside = format!("bare write {:.1}, bare tungstenite {:.1}", last(send_report), last(tungstenite_report));
    print(&called("the last one has it (median)"), last(report), "ms", &beside);
    let beside =
        format!("bare write {:.1}, bare tungstenite {:.1}", median(send.client_us), median(tungstenite.client_us));
    print(&called("CPU of those who follow"), median(ours.client_us), "us", &beside);
    print(&called("server CPU to open one"), connect_ms, "ms", &format!("all of them in {connect_s:.1} s"));
    let beside = format!("{full_mib:.1} MiB with all of them, {:.1} after the events", resident_mib(server.pid()));
    print(&called("memory of one"), (full_mib - empty_mib) * 1_024.0 / count as f64, "KiB", &beside);
}

async fn reference(name: &'static str, speech: Speech, count: usize, bytes: usize) -> Side {
    let mut reference = Reference::start(name).await;
    if name == "send" {
        reference.part.tell(&count.to_string());
    }
    let sockets = Sockets::open(reference.address, speech, count).await;
    let mut side = Side::new(name, reference.part.pid(), Sender::Reference(Box::new(reference), bytes), sockets);
    side.warm().await;
    side
}
