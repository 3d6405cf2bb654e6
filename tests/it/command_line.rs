//! The program itself, as an operator runs it.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::harness::{Answer, Database, keeper, link_secret, on_both_databases, wait_until};

on_both_databases![
    a_created_user_comes_in_by_the_printed_link,
    an_address_is_taken_once,
    a_created_token_is_printed_alone_and_works,
    commands_work_beside_a_running_server,
    the_first_start_prints_a_link_and_the_second_a_hint,
    the_demo_is_there_at_once_and_says_what_to_try,
    release_mode_has_no_demo,
    everything_wrong_with_the_configuration_is_said_at_once,
    a_stopped_server_turns_unready_finishes_and_ends_well,
    a_second_signal_stops_at_once,
    the_schema_is_printed,
];

/// How long the program may take for anything.
const DEADLINE: Duration = Duration::from_secs(60);

/// A machine with Concord on it.
struct Machine {
    database: Database,
    address: String,
    admin_address: String,
    mode: &'static str,
    http: reqwest::Client,
}

/// A server in a process of its own.
struct Serving {
    process: Child,
    lines: mpsc::Receiver<String>,
}

impl Machine {
    fn new(database: Database) -> Self {
        let free = || format!("127.0.0.1:{}", keeper::free_port());
        let (address, admin_address) = (free(), free());
        Self { database, address, admin_address, mode: "development", http: reqwest::Client::new() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_concord"));
        command.args(arguments).env_clear().current_dir(self.database.folder());
        for (key, value) in [
            ("DATABASE_URL", self.database.url.as_str()),
            ("STORAGE_URL", "file://files"),
            ("LISTEN_ADDR", &self.address),
            ("ADMIN_ADDR", &self.admin_address),
            ("CONCORD_MODE", self.mode),
        ] {
            command.env(key, value);
        }
        command
    }

    /// Runs a command to its end.
    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the program starts")
    }

    /// Runs a command that has to succeed; gives its one line.
    fn line(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(text.lines().count(), 1, "{arguments:?}: {text}");
        text.trim_end().to_owned()
    }

    /// Starts the server and waits until it serves.
    fn serve(&self) -> Serving {
        self.serve_with(&[])
    }

    /// The same, with more arguments.
    fn serve_with(&self, more: &[&str]) -> Serving {
        let mut process =
            self.command(&[&["serve"], more].concat()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let out = BufReader::new(process.stdout.take().unwrap());
        let (send, lines) = mpsc::channel();
        std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        let serving = Serving { process, lines };
        assert_eq!(serving.line(), format!("Concord serves at http://{}", self.address));
        serving
    }

    async fn send(&self, token: Option<&str>, query: &str, variables: Value) -> Answer {
        let body = json!({ "query": query, "variables": variables });
        let mut request = self.http.post(format!("http://{}/graphql", self.address)).json(&body);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        Answer::read(request.send().await.unwrap()).await
    }

    /// The address of whoever a token belongs to.
    async fn whose(&self, token: &str) -> String {
        self.send(Some(token), "{ viewer { email } }", json!({})).await.text("viewer.email")
    }

    /// Signs in by a link; gives the address of whom.
    async fn enter(&self, link: &str) -> Answer {
        let secret = link_secret(link);
        let query = "mutation($link: String!) { signIn(input: { link: $link }) { user { email admin } } }";
        self.send(None, query, json!({ "link": secret })).await
    }
}

impl Serving {
    /// The next line the server prints.
    fn line(&self) -> String {
        self.lines.recv_timeout(DEADLINE).expect("the server prints a line")
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([format!("-{name}"), self.process.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the server does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

async fn a_created_user_comes_in_by_the_printed_link(database: Database) {
    let machine = Machine::new(database);
    let ana = machine.line(&["user", "create", "--email", "Ana@Example.com", "--name", "Ana"]);
    let eva = machine.line(&["user", "create", "--email", "eva@example.com", "--name", "Eva", "--admin"]);
    assert!(ana.starts_with(&format!("http://{}/sign-in?link=", machine.address)), "{ana}");
    let _server = machine.serve();
    let entered = machine.enter(&ana).await;
    assert_eq!(entered.get("signIn.user"), &json!({ "email": "ana@example.com", "admin": false }));
    machine.enter(&ana).await.assert_error("UNAUTHENTICATED", "");
    assert_eq!(machine.enter(&eva).await.get("signIn.user.admin"), true);
    let another = machine.line(&["user", "sign-in-link", "--email", "ana@example.com"]);
    assert_eq!(machine.enter(&another).await.get("signIn.user.email"), "ana@example.com");
}

async fn an_address_is_taken_once(database: Database) {
    let machine = Machine::new(database);
    machine.line(&["user", "create", "--email", "ana@example.com", "--name", "Ana"]);
    for (case, arguments, sentence) in [
        (
            "a taken address",
            ["user", "create", "--email", "ANA@example.com", "--name", "Ana"],
            "email: is taken by another user",
        ),
        ("no address", ["user", "create", "--email", "ana", "--name", "Ana"], "email: must be an e-mail address"),
        ("no name", ["user", "create", "--email", "eva@example.com", "--name", ""], "name: must not be empty"),
    ] {
        let output = machine.run(&arguments);
        assert_eq!(output.status.code(), Some(1), "{case}");
        assert_eq!(said(&output).trim_end(), format!("Error: {sentence}"), "{case}");
        assert!(output.stdout.is_empty(), "{case}");
    }
}

async fn a_created_token_is_printed_alone_and_works(database: Database) {
    let machine = Machine::new(database);
    machine.line(&["user", "create", "--email", "ana@example.com", "--name", "Ana"]);
    let token =
        machine.line(&["token", "create", "--email", " Ana@Example.com", "--name", "export", "--expires-in-days", "3"]);
    let plain = machine.line(&["token", "create", "--email", "ana@example.com"]);
    for (case, arguments, sentence) in [
        (
            "an unknown user",
            ["token", "create", "--email", "eva@example.com", "--name", "x"],
            "there is no user eva@example.com",
        ),
        ("no name", ["token", "create", "--email", "ana@example.com", "--name", " "], "name: must not be empty"),
    ] {
        let output = machine.run(&arguments);
        assert_eq!(output.status.code(), Some(1), "{case}");
        assert_eq!(said(&output).trim_end(), format!("Error: {sentence}"), "{case}");
        assert!(output.stdout.is_empty(), "{case}");
    }
    let _server = machine.serve();
    for token in [&token, &plain] {
        assert_eq!(machine.whose(token).await, "ana@example.com");
    }
    let tokens = machine.send(Some(&token), "{ viewer { accessTokens { name expiresAt } } }", json!({})).await;
    let tokens = tokens.get("viewer.accessTokens");
    assert_eq!((&tokens[0]["name"], &tokens[1]["name"]), (&json!("export"), &json!("command line")));
    assert!(tokens[0]["expiresAt"].is_string() && tokens[1]["expiresAt"].is_null(), "{tokens}");
}

async fn commands_work_beside_a_running_server(database: Database) {
    let machine = Machine::new(database);
    let _server = machine.serve();
    let migrated = machine.line(&["migrate"]);
    assert_eq!(migrated, "the schema is up to date");
    let link = machine.line(&["user", "create", "--email", "ana@example.com", "--name", "Ana"]);
    let token = machine.line(&["token", "create", "--email", "ana@example.com"]);
    assert_eq!(machine.whose(&token).await, "ana@example.com");
    assert_eq!(machine.enter(&link).await.get("signIn.user.email"), "ana@example.com");
}

async fn the_first_start_prints_a_link_and_the_second_a_hint(database: Database) {
    let machine = Machine::new(database);
    let mut first = machine.serve();
    let link = first.line();
    let link = link.strip_prefix("Sign in, once, within a day: ").unwrap_or_else(|| panic!("{link}"));
    let entered = machine.enter(link).await;
    assert_eq!(entered.get("signIn.user"), &json!({ "email": "admin@localhost", "admin": true }));
    first.signal("TERM");
    assert!(first.ended().success());
    let second = machine.serve();
    let hint = second.line();
    let command = hint.strip_prefix("Another sign-in link: concord ").unwrap_or_else(|| panic!("{hint}"));
    let another = machine.line(&command.split(' ').collect::<Vec<_>>());
    assert_eq!(machine.enter(&another).await.get("signIn.user.email"), "admin@localhost", "the hint works");
}

async fn the_demo_is_there_at_once_and_says_what_to_try(database: Database) {
    let machine = Machine::new(database);
    let mut projects = Vec::new();
    for start in ["the first", "the second"] {
        let mut server = machine.serve_with(&["--demo"]);
        let link = server.line();
        let link = link.strip_prefix("Sign in, once, within a day: ").unwrap_or_else(|| panic!("{start}: {link}"));
        let entered = machine.enter(link).await;
        assert_eq!(entered.get("signIn.user.email"), "admin@localhost", "{start}");
        let lines: Vec<String> = (0..8).map(|_| server.line()).collect();
        let concord = env!("CARGO_BIN_EXE_concord");
        let commands = lines.iter().filter_map(|line| line.split_once(&format!(" {concord} ")));
        let commands: Vec<Vec<&str>> = commands.map(|(_, command)| command.split(' ').collect()).collect();
        let [people @ .., watch] = &commands[..] else { panic!("no commands: {lines:#?}") };
        for (person, email) in people.iter().zip(["ana", "ben", "rita"]) {
            let entered = machine.enter(&machine.line(person)).await;
            assert_eq!(entered.get("signIn.user.email"), &json!(format!("{email}@demo.localhost")), "{start}");
        }
        assert_eq!((people.len(), watch[0]), (3, "watch"), "{lines:#?}");
        let token = machine.line(&["token", "create", "--email", "admin@localhost"]);
        let query =
            "{ projects(first: 9) { nodes { id name taskCounts { state count } members(first: 9) { totalCount } } } }";
        projects.push(machine.send(Some(&token), query, json!({})).await.get("projects").clone());
        assert_eq!(projects[0]["nodes"][0]["id"], *watch.last().unwrap(), "{start}");
        server.signal("TERM");
        assert!(server.ended().success());
    }
    assert_eq!(projects[0]["nodes"].as_array().unwrap().len(), 1);
    assert_eq!(projects[0], projects[1], "the second start adds nothing");
}

async fn release_mode_has_no_demo(database: Database) {
    let machine = Machine { mode: "release", ..Machine::new(database) };
    let output = machine.run(&["serve", "--demo"]);
    assert_eq!(output.status.code(), Some(1));
    let sentence = "Error: --demo is for trying things out, not for release mode; it takes CONCORD_MODE=development";
    assert_eq!(said(&output).trim_end(), sentence);
    assert!(output.stdout.is_empty());
}

async fn everything_wrong_with_the_configuration_is_said_at_once(database: Database) {
    let machine = Machine::new(database);
    for command in [&["serve"][..], &["migrate"], &["token", "create", "--email", "ana@example.com"]] {
        let mut run = machine.command(command);
        for (key, value) in [
            ("DATABASE_URL", "mysql://x"),
            ("STORAGE_URL", "ftp://x"),
            ("LISTEN_ADDR", "here"),
            ("HTTP_BASE_PATH", "label"),
            ("CONCORD_MODE", "fast"),
        ] {
            run.env(key, value);
        }
        let output = run.output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{command:?}");
        let said = said(&output);
        for key in ["DATABASE_URL", "STORAGE_URL", "LISTEN_ADDR", "HTTP_BASE_PATH", "CONCORD_MODE"] {
            assert!(said.lines().any(|line| line.trim_start().starts_with(key)), "{command:?}: no {key} in {said}");
        }
        assert!(output.stdout.is_empty(), "{command:?}");
    }
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut run = machine.command(&["serve"]);
    let output = run.env("LISTEN_ADDR", taken.local_addr().unwrap().to_string()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("(LISTEN_ADDR)"), "{}", said(&output));
}

async fn a_stopped_server_turns_unready_finishes_and_ends_well(database: Database) {
    let machine = Machine { mode: "release", ..Machine::new(database) };
    let mut server = machine.serve();
    let ready = || async {
        let probe = machine.http.get(format!("http://{}/readyz", machine.address));
        probe.send().await.map(|answer| answer.status().as_u16()).unwrap_or_default()
    };
    assert_eq!(ready().await, 200);
    // A request whose body is still on its way.
    let body = json!({ "query": "{ __typename }" }).to_string();
    let mut running = TcpStream::connect(&machine.address).unwrap();
    let length = body.len();
    let head = format!(
        "POST /graphql HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    running.write_all(head.as_bytes()).unwrap();
    server.signal("TERM");
    wait_until("load balancers are told", || async { ready().await == 503 }).await;
    assert_eq!(machine.send(None, "{ __typename }", json!({})).await.get("__typename"), "Query", "it still answers");
    wait_until("the doors are closed", || async { ready().await == 0 }).await;
    assert!(server.process.try_wait().unwrap().is_none(), "a request is running");
    running.write_all(body.as_bytes()).unwrap();
    let answer = std::io::read_to_string(running).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("{\"data\":{\"__typename\":\"Query\"}}"),
        "{answer}"
    );
    assert_eq!(server.ended().code(), Some(0));
}

async fn a_second_signal_stops_at_once(database: Database) {
    let machine = Machine { mode: "release", ..Machine::new(database) };
    let mut server = machine.serve();
    // Without it the server would wait for this one.
    let mut running = TcpStream::connect(&machine.address).unwrap();
    running.write_all(b"POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n").unwrap();
    let begun = Instant::now();
    server.signal("TERM");
    let probe = || async {
        let answer = machine.http.get(format!("http://{}/readyz", machine.address)).send().await;
        answer.is_ok_and(|answer| answer.status() == 503)
    };
    wait_until("the first signal is seen", probe).await;
    server.signal("INT");
    assert_eq!(server.ended().code(), Some(1));
    assert!(begun.elapsed() < Duration::from_secs(15), "at once, not when the waiting is over");
}

async fn the_schema_is_printed(database: Database) {
    let machine = Machine::new(database);
    let output = machine.command(&["schema"]).env("LISTEN_ADDR", "here").output().unwrap();
    assert!(output.status.success(), "it takes no configuration: {}", said(&output));
    let kept = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/schema.graphql")).unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), kept);
}
