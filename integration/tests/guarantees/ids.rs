//! The table of guarantees, the code and the tests name the same ids.

use std::path::Path;

use anyhow::{Result, ensure};
use integration::stack::repository;
use model::Guarantee;

/// Calls `look` with every Rust source below a folder.
fn sources(folder: &Path, look: &mut impl FnMut(&str)) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.is_dir() && !name.starts_with('.') && name != "target" {
            sources(&path, look)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            look(&std::fs::read_to_string(&path)?);
        }
    }
    Ok(())
}

#[test]
fn every_guarantee_stands_in_the_documentation_and_has_a_test_of_its_name() -> Result<()> {
    let page = std::fs::read_to_string(repository().join("docs/architecture.md"))?;
    let documented: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" |").next())
        .filter(|cell| {
            cell.len() == 2
                && cell.starts_with(['C', 'W', 'R'])
                && cell.ends_with(|last: char| last.is_ascii_digit())
        })
        .collect();
    let known: Vec<&str> = Guarantee::ALL
        .iter()
        .map(|guarantee| guarantee.id())
        .collect();
    ensure!(
        documented == known,
        "the page says {documented:?}, the code {known:?}"
    );
    let mut names = String::new();
    sources(&repository(), &mut |text| {
        for line in text.lines().filter(|line| line.contains("fn ")) {
            names.push_str(line);
            names.push('\n');
        }
    })?;
    for id in known {
        let prefix = format!("fn {}_", id.to_lowercase());
        ensure!(names.contains(&prefix), "no test begins with {prefix:?}");
    }
    Ok(())
}
