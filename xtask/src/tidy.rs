use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::cargo::root;

mod dependencies;
mod documents;
mod sources;

/// Checks every convention and names each violation.
pub(crate) fn run() -> Result<()> {
    let files = text_files(root())?;
    let mut violations = dependencies::check(root())?;
    for file in &files {
        violations.extend(sources::check(file));
        violations.extend(documents::check(file, |path| root().join(path).exists()));
    }
    violations.extend(documents::check_readmes(&files));
    violations.extend(documents::check_proofs(&files));
    violations.sort();
    for violation in &violations {
        println!("{violation}");
    }
    ensure!(violations.is_empty(), "conventions are broken in {} places", violations.len());
    Ok(())
}

/// A text file of the project.
struct TextFile {
    /// From the workspace's folder.
    path: String,
    text: String,
}

impl TextFile {
    /// The lines with their numbers, from 1.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    fn violation(&self, line: usize, message: impl Into<String>) -> Violation {
        Violation { file: self.path.clone(), line, message: message.into() }
    }
}

#[derive(Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Violation {
    file: String,
    line: usize,
    message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.file, self.line, self.message)
    }
}

/// What .gitignore lists. There may be no git to ask, as a source archive is checked too.
const NOT_OURS: [&str; 4] = [".git", "data", "target", "web/node_modules"];

const TEXT_EXTENSIONS: [&str; 14] =
    ["css", "html", "js", "json", "lua", "md", "rs", "sh", "sql", "toml", "ts", "txt", "yaml", "yml"];

const TEXT_NAMES: [&str; 3] = ["Dockerfile", "justfile", "run"];

fn text_files(root: &Path) -> Result<Vec<TextFile>> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let entry = entry?;
            let file = entry.path();
            let path = file.strip_prefix(root)?.to_string_lossy().into_owned();
            if entry.file_type()?.is_dir() {
                if !NOT_OURS.contains(&path.as_str()) {
                    folders.push(file);
                }
            } else if is_text(&path) {
                let text = fs::read_to_string(&file).with_context(|| path.clone())?;
                files.push(TextFile { path, text });
            }
        }
    }
    Ok(files)
}

fn is_text(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    TEXT_EXTENSIONS.contains(&extension) || TEXT_NAMES.contains(&name)
}
