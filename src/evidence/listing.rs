//! `ListRecords`: a listing of what had been committed when it began, in pages.

use std::sync::Arc;

use prost::Message as _;

use super::{filter, message, unreadable};
use crate::{
    audit::{Order, Position, Query},
    call::Call,
    contract::proto::keygate::audit::v1::{
        ListRecordsRequest, ListRecordsResponse, Record, RecordFilter, RecordOrder,
    },
    files::digest,
    status::{Error, Violation},
};

/// How much a page holds, and the most that it may.
const PAGE: i32 = 100;
const LARGEST_PAGE: i32 = 1000;

/// How large the records of a page may be together, in bytes: clients bound it.
const LARGEST_ANSWER: usize = 2 * 1024 * 1024;

/// How many records are looked at for a page.
const BUDGET: usize = 20_000;

/// Where a page begins. Callers are shown its text only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Token {
    /// Only records before this position: those that there were at first.
    end: u64,
    /// Only records that come after this position.
    after: u64,
    /// What it is about: a digest of the filter and the order.
    about: u64,
}

pub(super) async fn list(
    call: Arc<Call>,
    request: ListRecordsRequest,
) -> Result<ListRecordsResponse, Error> {
    let mut violations = Vec::new();
    let about = about(request.filter.as_ref(), request.order);
    let filter = filter::read(request.filter, &mut violations);
    let order = match RecordOrder::try_from(request.order) {
        Ok(RecordOrder::Unspecified | RecordOrder::NewestFirst) => Order::Newest,
        Ok(RecordOrder::OldestFirst) => Order::Oldest,
        Err(_) => {
            violations.push(Violation::new("order", "is none that is known"));
            Order::Newest
        }
    };
    let size = match request.page_size {
        0 => PAGE,
        1..=LARGEST_PAGE => request.page_size,
        _ => {
            violations.push(Violation::new("page_size", "must be from 0 to 1000"));
            PAGE
        }
    };
    let token = match request.page_token.as_str() {
        "" => None,
        text => {
            let token = Token::parse(text).filter(|it| it.about == about);
            if token.is_none() {
                let fault = "is no token of a page with the same filter and order";
                violations.push(Violation::new("page_token", fault));
            }
            token
        }
    };
    if !violations.is_empty() {
        return Err(Error::InvalidRequest(violations));
    }
    let trail = &call.ledger().trail;
    let page = trail.read(move |reader| {
        let end = match token {
            Some(token) => Position(token.end),
            None => reader.end()?,
        };
        let mut records = reader.records(Query {
            filter,
            order,
            after: token.map(|it| Position(it.after)),
            before: Some(end),
            limit: usize::try_from(size).ok(),
            budget: Some(BUDGET),
        });
        let (mut page, mut bytes, mut last) = (Vec::<Record>::new(), 0, None);
        while bytes < LARGEST_ANSWER {
            let Some(stored) = records.next() else {
                last = records.rest();
                break;
            };
            let stored = stored?;
            last = Some(stored.position);
            let record = message::record(stored);
            bytes += record.encoded_len();
            page.push(record);
        }
        let next = last.map(|it| Token {
            end: end.0,
            after: it.0,
            about,
        });
        Ok((page, next))
    });
    let (records, next) = page.await.map_err(unreadable)?;
    call.note(|it| it.items = Some(records.len() as u64));
    Ok(ListRecordsResponse {
        records,
        next_page_token: next.map(Token::text).unwrap_or_default(),
    })
}

/// What a listing is about.
fn about(filter: Option<&RecordFilter>, order: i32) -> u64 {
    let mut bytes = filter.map(RecordFilter::encode_to_vec).unwrap_or_default();
    bytes.extend(order.to_le_bytes());
    let digest = digest(&bytes);
    let first = digest.first_chunk::<8>();
    first.map_or(0, |it| u64::from_le_bytes(*it))
}

impl Token {
    fn text(self) -> String {
        format!("{:x}.{:x}.{:016x}", self.end, self.after, self.about)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let mut part = || u64::from_str_radix(parts.next()?, 16).ok();
        let token = Self {
            end: part()?,
            after: part()?,
            about: part()?,
        };
        // only as it is written
        (token.text() == text && token.after < token.end).then_some(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_is_written_and_not_otherwise() {
        let token = Token {
            end: 0xab << 32,
            after: 17,
            about: 5,
        };
        let text = token.text();
        assert_eq!(Token::parse(&text), Some(token));
        for wrong in [
            "",
            "x",
            "1.2",
            "1.2.3",
            "5.5.0000000000000005",
            &text.to_uppercase(),
            &format!("{text}.1"),
            &format!("+{text}"),
        ] {
            assert_eq!(Token::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_listing_is_about_its_filter_and_its_order() {
        let filter = |rpc: &str| RecordFilter {
            rpc: rpc.to_owned(),
            ..RecordFilter::default()
        };
        let (one, other) = (filter("a"), filter("b"));
        assert_eq!(about(Some(&one), 1), about(Some(&one.clone()), 1));
        assert_ne!(about(Some(&one), 1), about(Some(&other), 1));
        assert_ne!(about(Some(&one), 1), about(Some(&one), 2));
        assert_ne!(about(Some(&one), 1), about(None, 1));
    }
}
