//! The facts that organizations tell, by their names. They are told in the transaction of the act, so that nothing
//! is told that did not happen and nothing happens that is not told.

/// Every fact that is told, and when.
pub const FACTS: [(&str, &str); 16] = [
    ("client.created", "a client was added"),
    ("client.updated", "a client changed, was put aside, or took another one in"),
    ("client.deleted", "a client went into the trash, or for good"),
    ("deal.created", "a deal was added"),
    ("deal.updated", "a deal changed in some other way than these"),
    ("deal.moved", "a deal went to another stage"),
    ("deal.won", "a deal was won"),
    ("deal.lost", "a deal was lost"),
    ("deal.reopened", "a deal was opened again"),
    ("deal.deleted", "a deal went into the trash, or for good"),
    ("payment.recorded", "a payment, a refund or a reversal was entered into the ledger"),
    ("payment.decided", "a payment was verified, or rejected"),
    ("task.created", "a task was added"),
    ("task.updated", "a task changed, or was finished"),
    ("trash.restored", "what went into the trash in one act came back"),
    ("import.finished", "a table of clients or deals was read in; what came with it is not told one by one"),
];

/// What is sent to try a webhook out.
pub(crate) const PING: &str = "ping";

/// Is there a fact of this name?
pub(crate) fn is_known(name: &str) -> bool {
    FACTS.iter().any(|(known, _)| *known == name)
}

/// The fact that an act is, by what the log calls it and what became different; none where it is nothing to be
/// told.
pub(crate) fn of(action: &str, changes: &serde_json::Value) -> Option<&'static str> {
    let became = |column: &str| changes[column][1].as_str();
    Some(match action {
        "deals.create_client" => "client.created",
        "deals.change_client" | "deals.archive_client" | "deals.import_client" | "deals.merge_clients" => {
            "client.updated"
        }
        "deals.delete_client" => "client.deleted",
        "deals.create_deal" => "deal.created",
        "deals.delete_deal" => "deal.deleted",
        "deals.change_deal" | "deals.move_deal" | "deals.close_deal" | "deals.verify_deal" | "deals.archive_deal"
        | "deals.add_up_lines" => match (became("status"), changes.get("stage_id")) {
            (Some("won"), _) => "deal.won",
            (Some("lost"), _) => "deal.lost",
            (Some(_), _) => "deal.reopened",
            (None, Some(_)) => "deal.moved",
            (None, None) => "deal.updated",
        },
        "deals.record_payment" => "payment.recorded",
        "deals.decide_payment" => "payment.decided",
        "deals.create_task" => "task.created",
        "deals.change_task" => "task.updated",
        "deals.restore" => "trash.restored",
        "deals.import" => "import.finished",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn an_act_is_the_fact_that_it_brought_about() {
        for (action, changes, fact) in [
            ("deals.change_deal", json!({"title": ["a", "b"]}), Some("deal.updated")),
            ("deals.change_deal", json!({"stage_id": [1, 2]}), Some("deal.moved")),
            ("deals.move_deal", json!({"stage_id": [1, 5], "status": ["open", "won"]}), Some("deal.won")),
            ("deals.close_deal", json!({"status": ["open", "lost"]}), Some("deal.lost")),
            ("deals.close_deal", json!({"status": ["lost", "open"]}), Some("deal.reopened")),
            ("deals.create_role", Value::Null, None),
        ] {
            assert_eq!(of(action, &changes), fact, "{action} {changes}");
            assert!(fact.is_none_or(is_known));
        }
    }
}
