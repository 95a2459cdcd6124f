//! Makes Markdown, JSON or a picture of what was measured.
//!
//! Reads one JSON report for each line of standard input.

use std::io::stdin;

use unbroken_bench::picture;
use unbroken_bench::report::{markdown, read};

#[derive(clap::Args)]
pub struct Options {
    /// All reports as one JSON array, instead of tables.
    #[arg(long)]
    json: bool,
    /// Also writes a picture of the messages' times to this file.
    #[arg(long)]
    svg: Option<std::path::PathBuf>,
}

pub fn write(options: Options) -> std::io::Result<()> {
    let reports = read(stdin().lock())?;
    assert!(!reports.is_empty(), "no report came");
    if options.json {
        println!("{}", serde_json::to_string_pretty(&reports)?);
    } else {
        println!("Processor: {}\n\n{}", reports[0].processor, markdown(&reports));
    }
    if let Some(path) = options.svg {
        std::fs::write(path, picture::bars(&reports))?;
    }
    Ok(())
}
