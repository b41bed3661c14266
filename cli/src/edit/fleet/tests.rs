use std::path::Path;

use pathweaved::config;

use super::*;

fn example(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config-examples");
    std::fs::read_to_string(folder.join(name)).unwrap()
}

fn checked(text: &str) -> Fleet {
    config::parse("fleet.toml", text).unwrap_or_else(|errors| panic!("{errors}\n{text}"))
}

/// The lines that come and go.
fn difference(old: &str, new: &Result<String, EditError>) -> String {
    match new {
        Err(error) => format!("{error}\n"),
        Ok(new) => {
            checked(new);
            similar::TextDiff::from_lines(old, new)
                .unified_diff()
                .context_radius(1)
                .to_string()
        }
    }
}

const KEY: &str = "xTxQCVsg8ObC1ORl20Oea/Mchovic136K0vp/YFavuc=";

/// What came of each edit, for the eye.
#[derive(Default)]
struct Story(String);

impl Story {
    /// Gives the new text back; of a refusal, the old one.
    fn case(&mut self, name: &str, old: &str, new: Result<String, EditError>) -> String {
        self.0 += &format!("━━━ {name}\n{}\n", difference(old, &new));
        new.unwrap_or_else(|_| old.to_owned())
    }
}

#[test]
fn sites_come_and_go_and_all_comments_stay() {
    let (two, three) = (example("two-sites.toml"), example("three-sites.toml"));
    let links = [
        "dsl,interface=eno1,endpoint=192.0.2.33",
        "lte,interface=eno2,source=192.0.2.9,source=2001:db8::9,mtu=1400,cost=metered",
    ];
    let links = links.map(str::to_owned);
    let new = NewSite {
        name: "lima",
        id: 7,
        public_key: KEY,
        links: &links,
        subnets: &["192.168.70.0/24".to_owned()],
    };
    let mut story = Story::default();
    let with_lima = story.case("a site more", &two, add_site(&two, &new));
    let fleet = checked(&with_lima);
    let without = remove_site(&with_lima, &fleet, "lima");
    let without = story.case("and away again", &with_lima, without);
    assert_eq!(without, two);
    let twice = add_site(&with_lima, &new);
    story.case("the same site twice", &with_lima, twice);
    let links = &["=x".to_owned()];
    let broken = NewSite { links, ..new };
    story.case("a link of nothing", &two, add_site(&two, &broken));
    let olso = remove_site(&three, &checked(&three), "olso");
    story.case("no such site", &three, olso);
    let oblique = add_path(&with_lima, &fleet, ["nara/fiber", "lima/lte"]);
    let oblique = story.case("a path to it", &with_lima, oblique);
    let without = remove_site(&oblique, &checked(&oblique), "lima");
    let without = story.case("the site and its paths away", &oblique, without);
    assert_eq!(without, two);
    insta::assert_snapshot!(story.0);
}

#[test]
fn paths_come_and_go_and_those_by_order_are_written_down() {
    let two = example("two-sites.toml");
    let mut story = Story::default();
    let add = |text: &str, pair| add_path(text, &checked(text), pair);
    let remove = |text: &str, pair| remove_path(text, &checked(text), pair);
    let cross = ["nara/fiber", "tainan/cable"];
    let turned = ["tainan/cable", "nara/fiber"];
    let straight = ["nara/fiber", "tainan/fiber"];
    let crossed = story.case("a cross path", &two, add(&two, cross));
    story.case("the same, turned round", &crossed, add(&crossed, turned));
    let cable = ["nara/cable", "tainan/cable"];
    let less = story.case("one path less", &crossed, remove(&crossed, cable));
    let last = story.case("another one", &less, remove(&less, turned));
    story.case("the last one", &last, remove(&last, straight));
    story.case("one by order", &two, remove(&two, straight));
    story.case("one that is not", &two, remove(&two, cross));
    let wrong = ["nara/fibre", "tainan/cable"];
    story.case("no such link", &two, add(&two, wrong));
    story.case("no link", &two, add(&two, ["nara", "tainan/cable"]));
    insta::assert_snapshot!(story.0);
}
