//! What `pathweave doctor --json` says, and whether it says what is expected.

use std::process::Output;
use std::time::{Duration, Instant};

use lab::Site;
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(30);

/// One answer.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    /// Severity, and subject, sentences and lines in one.
    findings: Vec<(String, String)>,
}

impl Said {
    fn find(&self, severity: &str, words: &[&str]) -> Option<&str> {
        let fits = |(how, text): &&(String, String)| {
            severity.contains(how.as_str()) && words.iter().all(|word| text.contains(word))
        };
        self.findings
            .iter()
            .find(fits)
            .map(|(_, text)| text.as_str())
    }

    pub fn says(&self, word: &str) -> bool {
        self.findings.iter().any(|(_, text)| text.contains(word))
    }

    pub fn has(&self, severity: &str, words: &[&str]) {
        let found = self.find(severity, words);
        println!("{severity}: {}", found.unwrap_or("not said"));
        assert!(
            found.is_some(),
            "{words:?} is not among {:#?}",
            self.findings
        );
    }
}

pub fn read(output: &Output) -> Said {
    let said = String::from_utf8_lossy(&output.stderr);
    let document: Value = serde_json::from_slice(&output.stdout).expect(&said);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let finding = |finding: &Value| {
        let lines = finding["lines"].as_array().into_iter().flatten().map(text);
        let sentences = ["subject", "reason", "remedy"].map(|part| text(&finding[part]));
        let all: Vec<_> = sentences.into_iter().chain(lines).collect();
        (text(&finding["severity"]), all.join(" | "))
    };
    let findings = document["findings"].as_array().into_iter().flatten();
    Said {
        code: output.status.code().unwrap_or(-1),
        findings: findings.map(finding).collect(),
    }
}

pub fn ask(site: &Site) -> Said {
    read(&site.home.cli(&["doctor", "--json"]).unwrap())
}

/// Waits until it is said.
pub fn told(site: &Site, severity: &str, words: &[&str]) -> Said {
    let begin = Instant::now();
    loop {
        let said = ask(site);
        let found = said.find(severity, words).is_some();
        if found || begin.elapsed() > PATIENCE {
            said.has(severity, words);
            return said;
        }
    }
}

/// Waits until nothing is wrong.
pub fn well(site: &Site) {
    let begin = Instant::now();
    loop {
        let said = ask(site);
        if said.code == 0 {
            return;
        }
        assert!(
            begin.elapsed() < PATIENCE,
            "all is well, and it says {said:#?}"
        );
    }
}
