//! The lines of docs/api.md that make an id, run as they stand.

use std::{collections::BTreeSet, process::Command};

use concord::domain::ids::AnnotationId;

use crate::harness::{Database, on_one_database};

on_one_database![sqlite: the_ids_that_the_docs_make_are_ids];

const DOCUMENT: &str = include_str!("../../docs/api.md");
const COUNT: usize = 500;

fn block(language: &str) -> &'static str {
    let (_, section) = DOCUMENT.split_once("\n## Ids\n").expect("the section is there");
    let section = section.split("\n## ").next().unwrap();
    let (_, block) = section.split_once(&format!("```{language}\n")).unwrap_or_else(|| panic!("no {language}"));
    block.split("```").next().unwrap()
}

fn lines_of(program: &str, script: &str) -> Vec<String> {
    let flag = if program == "node" { "-e" } else { "-c" };
    let output = Command::new(program).args([flag, script]).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}; when it is missing: run 'make setup'"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

async fn the_ids_that_the_docs_make_are_ids(_: Database) {
    // The types in it are inferred, so that it is JavaScript, too.
    let (typescript, python) = (block("ts"), block("python"));
    let javascript = format!(
        "globalThis.crypto ??= require('node:crypto').webcrypto;\n{typescript}
         for (let i = 0; i < {COUNT}; i++) console.log(annotationId())"
    );
    let python = format!("{python}\nfor i in range({COUNT}):\n    print(annotation_id())\n");
    for (program, script) in [("node", javascript), ("python3", python)] {
        let before = uuid::Uuid::now_v7().get_timestamp().unwrap().to_unix().0;
        let made = lines_of(program, &script);
        let after = uuid::Uuid::now_v7().get_timestamp().unwrap().to_unix().0;
        assert_eq!(made.iter().collect::<BTreeSet<_>>().len(), COUNT, "{program}: each once");
        for id in &made {
            let parsed: AnnotationId = id.parse().unwrap_or_else(|error| panic!("{program}: {id} {error}"));
            assert_eq!(parsed.to_string(), *id, "{program}: in the one spelling");
            assert_eq!((parsed.0.get_version_num(), parsed.0.get_variant()), (7, uuid::Variant::RFC4122), "{id}");
            let seconds = parsed.0.get_timestamp().unwrap().to_unix().0;
            assert!((before..=after).contains(&seconds), "{program}: {id} was made at {seconds}");
        }
    }
}
