//! A PgBouncer of our own in front of a database, in transaction mode.

use std::{net::TcpStream, path::Path};

use super::keeper::{Keeper, free_port};

/// Lends few connections to many, each for one transaction.
pub(crate) struct PgBouncer {
    keeper: Keeper,
    database: String,
}

impl PgBouncer {
    /// In front of the database at a URL.
    pub(crate) fn before(url: &str) -> Self {
        let (server, database) = url.rsplit_once('/').expect("a database's URL");
        let server_port = server.rsplit_once(':').expect("a port").1;
        let port = free_port();
        let keeper = Keeper::start("pgbouncer", port, |folder| {
            let file = folder.join("pgbouncer.ini");
            // As docs/operations.md has it.
            let settings = format!(
                "[databases]\n* = host=127.0.0.1 port={server_port} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
                 listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\n\
                 default_pool_size = 4\nserver_reset_query = DISCARD ALL\nserver_reset_query_always = 1\n\
                 ignore_startup_parameters = extra_float_digits\n"
            );
            std::fs::write(&file, settings).unwrap();
            let program = if Path::new("/usr/sbin/pgbouncer").is_file() { "/usr/sbin/pgbouncer" } else { "pgbouncer" };
            as_other_user(folder, &[program, &file.display().to_string()])
        });
        let bouncer = Self { keeper, database: database.to_owned() };
        bouncer.keeper.wait(|| TcpStream::connect(("127.0.0.1", port)).is_ok());
        bouncer
    }

    /// The URL of the database through it.
    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{}", self.keeper.port(), self.database)
    }
}

/// It refuses to run as root.
fn as_other_user(folder: &Path, command: &[&str]) -> Vec<String> {
    let mut words: Vec<&str> = Vec::new();
    if super::postgres::is_root() {
        let given = std::process::Command::new("chown").args(["-R", "postgres"]).arg(folder).status();
        assert!(given.unwrap().success());
        words.extend(["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]);
    }
    words.extend(command);
    words.into_iter().map(str::to_owned).collect()
}
