//! A recipe's page: what is typed at which site, and what it promises. Pure.

/// What is typed at one site, as root: a fence that begins with "```sh nara".
#[derive(Debug, PartialEq, Eq)]
pub struct Block {
    pub site: String,
    pub script: String,
}

/// In order of the page. Fences without a site are not for a test.
pub fn blocks(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut fence: Option<bool> = None;
    for line in page.lines() {
        match (fence, line.strip_prefix("```")) {
            (None, Some(information)) => {
                let site = information.strip_prefix("sh ");
                fence = Some(site.is_some());
                blocks.extend(site.map(|site| Block {
                    site: site.trim().to_owned(),
                    script: String::new(),
                }));
            }
            (Some(_), Some(_)) => fence = None,
            (Some(true), None) => {
                if let Some(block) = blocks.last_mut() {
                    block.script += line;
                    block.script.push('\n');
                }
            }
            (Some(false) | None, None) => {}
        }
    }
    blocks
}

/// A row of the page's first table, without its quotes: "connections" → "4, of nbdcopy".
pub fn fact(page: &str, name: &str) -> Option<String> {
    let mut rows = page.lines().filter_map(|line| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        (cells.len() == 4 && cells[1] == name).then(|| cells[2].replace('`', ""))
    });
    rows.next()
}

/// How many connections carry the data, and of which program at the site that opens them.
pub fn connections(page: &str) -> Option<(usize, String)> {
    let fact = fact(page, "connections")?;
    let (number, program) = fact.split_once(", of ")?;
    Some((number.parse().ok()?, program.to_owned()))
}

#[test]
fn a_page_is_read_as_it_is_typed() {
    let page = "# X\n\n| | |\n|---|---|\n| connections | 2, of `x` |\n\n```sh nara\none <<'END'\n  \
                two\nEND\n```\nText\n```text\nnot typed\n```\n```sh\nnot tested\n```\n```sh tainan\nthree\n```\n";
    let expected = [("nara", "one <<'END'\n  two\nEND\n"), ("tainan", "three\n")];
    let expected = expected.map(|(site, script)| Block {
        site: site.to_owned(),
        script: script.to_owned(),
    });
    assert_eq!(blocks(page), expected);
    assert_eq!(connections(page), Some((2, "x".to_owned())));
}
