//! `concord migrate`

use anyhow::Context;

use crate::{
    app,
    cli::print,
    config::Config,
    repo::{
        Db,
        schema::{self, Direction, Fit},
    },
};

pub(super) async fn run(config: &Config) -> anyhow::Result<()> {
    let connect = app::connect(config);
    app::make_sqlite_folder(&connect)?;
    let db = Db::connect(&connect).await.context("cannot open the database (DATABASE_URL)")?;
    let fit = schema::fit(&db).await?;
    db.close().await?;
    match fit {
        Fit::Ready => print("the schema is up to date"),
        Fit::TooNew => anyhow::bail!("the schema is newer than this build understands; run a newer build"),
        Fit::TooOld => {
            schema::migrate(&connect, Direction::Up).await.context("cannot bring the schema up")?;
            print(&format!("the schema is now at version {}", schema::VERSION))
        }
    }
}
