//! What an administrator would type: the end of each `--help`, and EXAMPLES of each man page.

/// What it is for, and what to type: one or more lines.
pub(super) type Example = (&'static str, &'static str);

pub(super) fn of(command: &str) -> Option<&'static [Example]> {
    let found = EXAMPLES.iter().find(|(name, _)| *name == command);
    found.map(|(_, examples)| *examples)
}

/// As `--help` shows them.
pub(super) fn help(examples: &[Example]) -> String {
    let mut text = String::from("Examples:");
    for (purpose, lines) in examples {
        text += &format!("\n  {purpose}");
        for line in lines.lines() {
            text += &format!("\n      {line}");
        }
    }
    text
}

/// By the command's name.
const EXAMPLES: &[(&str, &[Example])] = &[
    (
        "pathweave",
        &[
            ("Is every ISP in use?", "pathweave status"),
            ("Is the fleet file good?", "sudo pathweave check"),
            ("What does a command do?", "man pathweave-path-down"),
        ],
    ),
    (
        "pathweave genkey",
        &[(
            "This site's key, which only root may read:",
            "sudo sh -c 'umask 077; pathweave genkey > /etc/pathweave/private.key'",
        )],
    ),
    (
        "pathweave pubkey",
        &[(
            "What the fleet file wants as this site's public_key:",
            "sudo cat /etc/pathweave/private.key | pathweave pubkey",
        )],
    ),
    (
        "pathweave check",
        &[
            (
                "The file that the daemon reads; which of its sites is this machine?",
                "sudo pathweave check",
            ),
            (
                "A file that is still being written:",
                "pathweave check fleet.toml",
            ),
        ],
    ),
    (
        "pathweave reload",
        &[
            (
                "What would the changed file mean?",
                "sudo pathweave reload --dry-run",
            ),
            ("Go on with it:", "sudo pathweave reload"),
        ],
    ),
    (
        "pathweave status",
        &[
            ("Which ISP is dead, and why?", "pathweave status"),
            (
                "Only what is not up, again and again:",
                "pathweave status --down --watch",
            ),
            (
                "In a script:",
                "pathweave status > /dev/null || echo 'not every path is up'",
            ),
            (
                "The round trip of each path to tainan, in milliseconds:",
                "pathweave status --json | \\\n    \
                 jq '.peers[] | select(.site == \"tainan\").paths[].rtt_ms'",
            ),
        ],
    ),
    (
        "pathweave peer",
        &[("Which sites can be reached?", "pathweave peer list")],
    ),
    (
        "pathweave peer list",
        &[("Which sites can be reached?", "pathweave peer list")],
    ),
    (
        "pathweave peer show",
        &[("How is tainan reached?", "pathweave peer show tainan")],
    ),
    (
        "pathweave peer add",
        &[(
            "A third site with two ISPs, the second behind NAT; without --dry-run it is done:",
            "sudo pathweave peer add oslo --id 3 \\\n    \
             --public-key xTxQCVsg8ObC1ORl20Oea/Mchovic136K0vp/YFavuc= \\\n    \
             --link fiber,interface=eno1,endpoint=192.0.2.33 \\\n    \
             --link lte,interface=wwan0 --dry-run",
        )],
    ),
    (
        "pathweave peer remove",
        &[
            (
                "What would it mean?",
                "sudo pathweave peer remove oslo --dry-run",
            ),
            ("Do it:", "sudo pathweave peer remove oslo"),
        ],
    ),
    (
        "pathweave path",
        &[("Which paths are there?", "pathweave path list")],
    ),
    (
        "pathweave path list",
        &[
            ("Which paths are there?", "pathweave path list"),
            (
                "Those that are down, one a line:",
                "pathweave path list --json | \\\n    \
                 jq -r '.paths[] | select(.state == \"down\") | \"\\(.peer) \\(.path)\"'",
            ),
        ],
    ),
    (
        "pathweave path show",
        &[(
            "What is known of the second path to tainan?",
            "pathweave path show tainan 2",
        )],
    ),
    (
        "pathweave path up",
        &[(
            "The work on its ISP is done:",
            "sudo pathweave path up tainan 2",
        )],
    ),
    (
        "pathweave path down",
        &[
            (
                "What would move?",
                "sudo pathweave path down tainan 2 --dry-run",
            ),
            (
                "Its ISP will be worked on:",
                "sudo pathweave path down tainan 2",
            ),
        ],
    ),
    (
        "pathweave path add",
        &[(
            "Let the cable reach the other site's LTE too:",
            "sudo pathweave path add nara/cable tainan/lte",
        )],
    ),
    (
        "pathweave path remove",
        &[
            (
                "What would it mean?",
                "sudo pathweave path remove nara/cable tainan/lte --dry-run",
            ),
            ("Do it:", "sudo pathweave path remove nara/cable tainan/lte"),
        ],
    ),
    (
        "pathweave init",
        &[
            ("The first site:", "sudo pathweave init"),
            (
                "The second one, with the first one's fleet file:",
                "sudo pathweave init --join pathweave.toml",
            ),
        ],
    ),
    (
        "pathweave apply",
        &[
            (
                "Go on with the fleet file of another site:",
                "sudo pathweave apply pathweave.toml",
            ),
            (
                "Back to the former one after five minutes, unless `pathweave confirm` comes:",
                "sudo pathweave apply pathweave.toml --confirm-within 5m",
            ),
        ],
    ),
    (
        "pathweave confirm",
        &[("The new fleet file is good:", "sudo pathweave confirm")],
    ),
    (
        "pathweave run",
        &[(
            "A copy that uses every ISP:",
            "pathweave run rsync -a /srv/data/ rsync://10.213.2.1/data/",
        )],
    ),
    (
        "pathweave doctor",
        &[("What is wrong, and what helps?", "sudo pathweave doctor")],
    ),
    (
        "pathweave bugreport",
        &[(
            "For somebody who is asked for help:",
            "sudo pathweave bugreport",
        )],
    ),
    (
        "pathweave flows",
        &[
            ("Which programs use which paths?", "pathweave flows"),
            (
                "Once a second, to tainan only:",
                "pathweave flows tainan --watch",
            ),
        ],
    ),
    (
        "pathweave top",
        &[(
            "Watch paths and connections; d and u take the selected path down and up:",
            "sudo pathweave top",
        )],
    ),
    (
        "pathweave ping",
        &[("Does each path to tainan answer?", "pathweave ping tainan")],
    ),
    (
        "pathweave speed",
        &[
            (
                "How fast is each path, and are all together?",
                "pathweave speed tainan",
            ),
            ("The other way round:", "pathweave speed tainan --reverse"),
        ],
    ),
    ("pathweave top", &[("Watch all paths:", "pathweave top")]),
    (
        "pathweave metrics",
        &[("What monitoring would read:", "pathweave metrics")],
    ),
    (
        "pathweave completions",
        &[
            (
                "In bash, for everybody on this machine:",
                "pathweave completions bash | sudo install -D -m 644 /dev/stdin \\\n    \
                 /usr/local/share/bash-completion/completions/pathweave",
            ),
            (
                "In zsh:",
                "pathweave completions zsh | sudo install -D -m 644 /dev/stdin \\\n    \
                 /usr/local/share/zsh/site-functions/_pathweave",
            ),
            (
                "In fish:",
                "pathweave completions fish | sudo install -D -m 644 /dev/stdin \\\n    \
                 /usr/local/share/fish/vendor_completions.d/pathweave.fish",
            ),
        ],
    ),
];

/// All that are written down, for a test.
#[cfg(test)]
pub(super) fn all() -> impl Iterator<Item = (&'static str, Example)> {
    let each = |(name, examples): &(&'static str, &'static [Example])| {
        let name = *name;
        examples.iter().map(move |example| (name, *example))
    };
    EXAMPLES.iter().flat_map(each)
}
