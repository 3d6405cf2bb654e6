//! Starts the real servers, gives each test a database of its own and a Concord over it, and speaks like its users.

mod answer;
mod app;
mod browser;
pub(crate) mod coverage;
mod dataset;
mod dispute;
mod event_stream;
mod events;
mod following;
mod front;
mod http;
mod jobs;
pub(crate) mod keeper;
pub(crate) mod labeling;
pub(crate) mod load;
pub(crate) mod model;
mod named_tests;
mod next;
mod people;
mod pgbouncer;
pub(crate) mod postgres;
mod process;
mod program;
mod proxy;
mod python;
mod recount;
pub(crate) mod redis;
mod rows;
mod saving;
pub(crate) mod sdl;
pub(crate) mod shared;
mod sign_in;
mod socket;
mod sql;
mod story;
mod wait;
mod watch;

use std::{future::Future, pin::Pin, process::ExitCode};

pub(crate) use answer::Answer;
pub(crate) use app::{Database, TestApp};
pub(crate) use browser::Browser;
pub(crate) use dataset::{data, file_of, lines_of};
pub(crate) use dispute::Disputed;
pub(crate) use event_stream::EventStream;
pub(crate) use events::{assert_positions_are_gap_free, event_types, events_of};
pub(crate) use following::{Example, Journey};
pub(crate) use http::read;
pub(crate) use jobs::job_id;
use libtest_mimic::{Arguments, Trial};
pub(crate) use named_tests::tests_named_in;
pub(crate) use next::NextBuild;
pub(crate) use people::Person;
pub(crate) use pgbouncer::PgBouncer;
pub(crate) use process::{Serving, output_of};
pub(crate) use program::Program;
pub(crate) use proxy::Proxy;
pub(crate) use python::{python, python_command};
pub(crate) use recount::assert_counters;
pub(crate) use rows::{Drawn, random_like};
pub(crate) use saving::{Session, box_at, new_annotation, span};
pub(crate) use sign_in::link_secret;
pub(crate) use socket::Socket;
pub(crate) use sql::rows;
pub(crate) use story::{Media, Project, id_of};
pub(crate) use wait::{eventually, wait_until};

/// A test: gets a database and does the rest itself.
pub(crate) type Test = fn(Database) -> Pin<Box<dyn Future<Output = ()>>>;

/// Declares the tests of a file: each `async fn name(database: Database)` runs once on either database, those behind
/// `only postgres:` on PostgreSQL alone.
macro_rules! on_both_databases {
    ($($name:ident),+ $(,)? $(; only postgres: $($postgres:ident),+ $(,)?)?) => {
        pub(crate) fn trials() -> Vec<libtest_mimic::Trial> {
            let mut trials = Vec::new();
            $(trials.extend(crate::harness::on_both(module_path!(), stringify!($name), |database| Box::pin($name(database))));)+
            $($(
                let test: crate::harness::Test = |database| Box::pin($postgres(database));
                trials.push(crate::harness::on_postgres(module_path!(), stringify!($postgres), test));
            )+)?
            trials
        }
    };
}
pub(crate) use on_both_databases;

/// Declares the tests of a file, each on the one database it is about.
macro_rules! on_one_database {
    ($($database:ident: $name:ident),+ $(,)?) => {
        pub(crate) fn trials() -> Vec<libtest_mimic::Trial> {
            let mut trials = Vec::new();
            $(trials.extend(
                crate::harness::on_both(module_path!(), stringify!($name), |database| Box::pin($name(database)))
                    .into_iter()
                    .filter(|trial| trial.name().ends_with(concat!("::", stringify!($database)))),
            );)+
            trials
        }
    };
}
pub(crate) use on_one_database;

/// As [`on_both_databases`], and each once more with the front of the queue in Redis; those behind `only postgres:` run on
/// PostgreSQL alone.
macro_rules! on_every_queue {
    ($($name:ident),+ $(,)? $(; only postgres: $($postgres:ident),+ $(,)?)?) => {
        pub(crate) fn trials() -> Vec<libtest_mimic::Trial> {
            let mut trials = Vec::new();
            $(
                let test: crate::harness::Test = |database| Box::pin($name(database));
                trials.extend(crate::harness::on_both(module_path!(), stringify!($name), test));
                trials.push(crate::harness::on_redis(module_path!(), stringify!($name), test));
            )+
            $($(
                let test: crate::harness::Test = |database| Box::pin($postgres(database));
                trials.push(crate::harness::on_postgres(module_path!(), stringify!($postgres), test));
            )+)?
            trials
        }
    };
}
pub(crate) use on_every_queue;

/// One trial on each database.
pub(crate) fn on_both(module: &str, name: &str, test: Test) -> [Trial; 2] {
    [trial(module, name, "sqlite", Database::sqlite, test), on_postgres(module, name, test)]
}

/// One trial on PostgreSQL.
pub(crate) fn on_postgres(module: &str, name: &str, test: Test) -> Trial {
    trial(module, name, "postgres", Database::postgres, test)
}

/// One trial on PostgreSQL beside a Redis that trials share.
pub(crate) fn on_redis(module: &str, name: &str, test: Test) -> Trial {
    trial(module, name, "redis", || Database::postgres().beside(redis::shared().url()), test)
}

fn trial(module: &str, name: &str, database: &str, make: fn() -> Database, test: Test) -> Trial {
    let module = module.trim_start_matches("it::");
    Trial::test(format!("{module}::{name}::{database}"), move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(test(make()));
        // Requests of a stopped test must not hold up the others.
        runtime.shutdown_background();
        Ok(())
    })
}

/// Runs the trials; after a whole run, names the fields of the schema that no test resolved.
pub(crate) fn run(arguments: &Arguments, trials: Vec<Trial>) -> ExitCode {
    let whole = arguments.filter.is_none() && arguments.skip.is_empty() && !arguments.list;
    let conclusion = libtest_mimic::run(arguments, trials);
    postgres::stop();
    if conclusion.has_failed() || !whole {
        return conclusion.exit_code();
    }
    coverage::check()
}
