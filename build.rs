//! Embeds the files of the GraphiQL page: writes `$OUT_DIR/graphiql_assets.rs`, a list of (name, content type, bytes).
//!
//! The list is empty until `make graphiql` has filled `assets/graphiql/dist`; the server builds and runs without it.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// Ours, served beside the fetched files.
const OWN_FILES: [&str; 3] = ["page.css", "examples.js", "start.js"];

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("assets").join("graphiql");
    // The parent of dist, because a path that does not exist yet would make every build a stale one.
    println!("cargo::rerun-if-changed={}", folder.display());

    let mut code = String::from("pub(crate) static FILES: &[(&str, &str, &[u8])] = &[\n");
    for path in files_of_page(&folder)? {
        let name = path.file_name().and_then(|name| name.to_str()).ok_or("a file name is not UTF-8")?;
        let content_type = content_type(&path)?;
        writeln!(code, "    ({name:?}, {content_type:?}, include_bytes!({path:?})),")?;
    }
    code.push_str("];\n");

    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("graphiql_assets.rs"), code)?;
    Ok(())
}

/// Gives all files of the page, or none while the fetched ones are missing.
fn files_of_page(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let dist = folder.join("dist");
    if !dist.is_dir() {
        return Ok(Vec::new());
    }
    let mut files = fs::read_dir(dist)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, std::io::Error>>()?;
    files.sort();
    files.extend(OWN_FILES.map(|name| folder.join(name)));
    Ok(files)
}

fn content_type(path: &Path) -> Result<&'static str, String> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("js") => Ok("text/javascript; charset=utf-8"),
        Some("css") => Ok("text/css; charset=utf-8"),
        Some("txt") => Ok("text/plain; charset=utf-8"),
        _ => Err(format!("no content type is known for {}", path.display())),
    }
}
