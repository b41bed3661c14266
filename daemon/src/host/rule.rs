//! Policy rules ↔ rtnetlink's messages.

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::route::RouteProtocol;
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};

use crate::plan::{PROTOCOL, Rule};

use super::route::{family, is_path_table};
use super::{Host, HostError};

impl Host {
    /// All rules of ours: by their protocol number, and by the table they lead to.
    pub(super) fn rules(&self) -> Result<Vec<Rule>, HostError> {
        let mut rules = Vec::new();
        for v6 in [false, true] {
            let mut message = RuleMessage::default();
            message.header.family = family(v6);
            let dump = RouteNetlinkMessage::GetRule(message);
            let answers = self
                .netlink
                .dump(dump)
                .map_err(HostError::object("rules"))?;
            rules.extend(answers.into_iter().filter_map(|answer| match answer {
                RouteNetlinkMessage::NewRule(message) if message.header.family == family(v6) => {
                    kernel_rule(&message)
                }
                _ => None,
            }));
        }
        Ok(rules)
    }

    /// Never with NLM_F_REPLACE: rules know no replacing, a second one would stand there.
    pub(super) fn add_rule(&self, rule: Rule) -> Result<(), HostError> {
        let message = RouteNetlinkMessage::NewRule(rule_message(rule));
        self.netlink
            .change(message, NLM_F_CREATE | NLM_F_EXCL)
            .map_err(HostError::object(format!("rule from {}", rule.from)))
    }

    pub(super) fn remove_rule(&self, rule: Rule) -> Result<(), HostError> {
        let message = RouteNetlinkMessage::DelRule(rule_message(rule));
        self.netlink
            .change(message, 0)
            .map_err(HostError::object(format!("rule from {}", rule.from)))
    }
}

fn rule_message(rule: Rule) -> RuleMessage {
    let mut message = RuleMessage::default();
    message.header.family = family(rule.from.is_ipv6());
    message.header.src_len = if rule.from.is_ipv6() { 128 } else { 32 };
    message.header.action = RuleAction::ToTable;
    message.attributes = vec![
        RuleAttribute::Source(rule.from),
        RuleAttribute::Table(rule.table),
        RuleAttribute::Priority(rule.priority),
        RuleAttribute::Protocol(RouteProtocol::Other(PROTOCOL)),
    ];
    message
}

fn kernel_rule(message: &RuleMessage) -> Option<Rule> {
    let (mut from, mut priority, mut ours) = (None, 0, false);
    let mut table = u32::from(message.header.table);
    for attribute in &message.attributes {
        match attribute {
            RuleAttribute::Source(address) => from = Some(*address),
            RuleAttribute::Table(value) => table = *value,
            RuleAttribute::Priority(value) => priority = *value,
            RuleAttribute::Protocol(protocol) => {
                ours = *protocol == RouteProtocol::Other(PROTOCOL);
            }
            _ => {}
        }
    }
    (ours && is_path_table(table)).then_some(Rule {
        from: from?,
        table,
        priority,
    })
}
