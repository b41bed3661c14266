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

#[test]
fn what_is_edited_stays_a_good_file_with_all_its_comments() {
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
    let broken = ["=x".to_owned()];
    let mut report = String::new();
    let mut case = |name: &str, old: &str, new: Result<String, EditError>| {
        report += &format!("━━━ {name}\n{}\n", difference(old, &new));
        new.unwrap_or_else(|_| old.to_owned())
    };
    let with_lima = case("a site more", &two, add_site(&two, &new));
    case(
        "and away again",
        &with_lima,
        remove_site(&with_lima, &checked(&with_lima), "lima"),
    );
    case(
        "the same site twice",
        &with_lima,
        add_site(&with_lima, &new),
    );
    case(
        "a link of nothing",
        &two,
        add_site(
            &two,
            &NewSite {
                links: &broken,
                ..new
            },
        ),
    );
    case(
        "no such site",
        &three,
        remove_site(&three, &checked(&three), "olso"),
    );
    let cross = ["nara/fiber", "tainan/cable"];
    let crossed = case("a cross path", &two, add_path(&two, &checked(&two), cross));
    case(
        "the same again, turned round",
        &crossed,
        add_path(&crossed, &checked(&crossed), ["tainan/cable", "nara/fiber"]),
    );
    let less = case(
        "one path less",
        &crossed,
        remove_path(&crossed, &checked(&crossed), ["nara/cable", "tainan/cable"]),
    );
    let last = case(
        "another one",
        &less,
        remove_path(&less, &checked(&less), ["tainan/cable", "nara/fiber"]),
    );
    case(
        "the last one",
        &last,
        remove_path(&last, &checked(&last), ["nara/fiber", "tainan/fiber"]),
    );
    case(
        "of the links' order",
        &two,
        remove_path(&two, &checked(&two), ["nara/fiber", "tainan/fiber"]),
    );
    case(
        "none at all",
        &two,
        remove_path(&two, &checked(&two), cross),
    );
    case(
        "no such link",
        &two,
        add_path(&two, &checked(&two), ["nara/fibre", "tainan/cable"]),
    );
    case(
        "no link at all",
        &two,
        add_path(&two, &checked(&two), ["nara", "tainan/cable"]),
    );
    let oblique = ["nara/fiber", "lima/lte"];
    let oblique = case(
        "a path to it",
        &with_lima,
        add_path(&with_lima, &checked(&with_lima), oblique),
    );
    case(
        "a site with explicit paths away",
        &oblique,
        remove_site(&oblique, &checked(&oblique), "lima"),
    );
    insta::assert_snapshot!(report);
}
