use pathweaved::config;

use super::*;

fn device(name: &str, addresses: &[&str], metric: Option<u32>) -> Device {
    Device {
        name: name.to_owned(),
        is_tunnel: false,
        addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
        metric,
    }
}

fn facts(host_name: &str, devices: &[Device]) -> Facts {
    Facts {
        host_name: host_name.to_owned(),
        devices: devices.to_vec(),
        firewall: None,
    }
}

fn shown(proposal: &Proposal) -> String {
    let links = proposal.links.iter();
    let links = links.map(|link| format!("  {}   ({})\n", link.spelled(), link.note));
    format!("{} {}\n", proposal.name, proposal.id) + &links.collect::<String>()
}

#[test]
fn every_way_out_becomes_a_link_and_only_public_addresses_become_endpoints() {
    let wireguard = Device {
        is_tunnel: true,
        ..device("wg0", &["10.8.0.2"], Some(50))
    };
    let devices = [
        device("lo", &["127.0.0.1"], None),
        device(
            "eth0",
            &["10.0.0.4", "203.0.113.7", "2001:db8::7"],
            Some(200),
        ),
        device("enp1s0.100", &["192.168.1.20", "2001:db8:1::20"], Some(100)),
        device("wwan0", &["100.72.3.4"], Some(700)),
        device("ppp0", &[], Some(0)),
        device("eth3", &["172.16.0.1"], None),
        device("pw-oslo-1", &["10.213.1.1"], Some(1)),
        wireguard,
    ];
    let facts = facts("Nara.example.net", &devices);
    assert_eq!(
        shown(&propose(&facts, None)),
        "nara 1\n\
         \x20 ppp0,interface=ppp0   (no address yet: no endpoint, it dials)\n\
         \x20 enp1s0-100,interface=enp1s0.100,endpoint=[2001:db8:1::20]   (2001:db8:1::20 is \
         public; if it changes, name a DNS name that follows it)\n\
         \x20 eth0,interface=eth0,endpoint=203.0.113.7   (203.0.113.7 is public; if it changes, \
         name a DNS name that follows it)\n\
         \x20 wwan0,interface=wwan0   (100.72.3.4 is shared, behind a carrier's NAT: no endpoint, \
         it dials)\n"
    );
    assert_eq!(left_aside(&facts), ["eth3", "wg0"]);
}

#[test]
fn a_site_is_called_as_its_machine_where_that_is_a_name() {
    let table = [
        ("nara", "nara"),
        ("NAS_2.lan", "nas-2"),
        ("3f2a9c", "site-3f2a9c"),
        ("localhost", "site-1"),
        ("(none)", "none"),
        ("", "site-1"),
        ("über-host", "ber-host"),
    ];
    for (host_name, expected) in table {
        assert_eq!(propose(&facts(host_name, &[]), None).name, expected);
    }
    let long = propose(&facts(&"a".repeat(60), &[]), None).name;
    assert_eq!(long.len(), 32);
}

#[test]
fn a_second_site_gets_a_number_and_a_name_of_its_own() {
    let site = |name: &str, id: u8, key: &str| {
        format!(
            "[site.{name}]\nid = {id}\npublic_key = \"{key}\"\nlinks = [ {{ name = \"a\", \
             interface = \"eth0\" }} ]\n"
        )
    };
    let text = site("nara", 1, "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=")
        + &site("oslo", 3, "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=");
    let fleet = config::parse("fleet.toml", &text).unwrap();
    let second = propose(&facts("tainan", &[]), Some(&fleet));
    assert_eq!((second.name.as_str(), second.id), ("tainan", 2));
    let twin = propose(&facts("nara", &[]), Some(&fleet));
    assert_eq!((twin.name.as_str(), twin.id), ("nara-2", 2));
}
