//! Every file in `scenarios/` is a test: a simulated cluster does what it says, and prints what it says.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use tests::scenario;

#[test]
fn scenarios_print_what_they_say() -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    let mut files = entries.collect::<Result<Vec<PathBuf>>>()?;
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        scenario::play(&file)?;
    }
    Ok(())
}

#[test]
fn the_same_seed_gives_the_same_history() -> Result<()> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/rollout.txt");
    let steps = tests::script::parse(&fs::read_to_string(file)?)?;
    assert_eq!(scenario::print(&steps)?, scenario::print(&steps)?);
    Ok(())
}
