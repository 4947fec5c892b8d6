//! `DescribeClientQuotas`: no quota is set; a filter that makes no sense is refused all the same.

use ottla_types::ErrorCode;
use ottla_wire::messages::{
    describe_client_quotas_request::{ComponentData, DescribeClientQuotasRequest},
    describe_client_quotas_response::DescribeClientQuotasResponse,
};

use crate::{net::Answer, service::ReplyTo};

/// What quotas are set for.
const ENTITY_TYPES: [&str; 3] = ["user", "client-id", "ip"];

// How a component selects entities.
const EXACT: i8 = 0;
const DEFAULT: i8 = 1;
const SPECIFIED: i8 = 2;

/// A filter that selects nothing, with the reason.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum BadFilter {
    #[error("Invalid empty entity type.")]
    EmptyType,
    #[error("Unsupported entity type {0}")]
    UnknownType(String),
    #[error("Entity type {0} cannot appear more than once in the filter.")]
    RepeatedType(String),
    #[error("Request specified MATCH_TYPE_EXACT, but set match string to null.")]
    ExactWithoutName,
    #[error("Request specified {0}, but also specified a match string.")]
    SuperfluousName(&'static str),
    #[error("Unknown match type {0}")]
    UnknownMatch(i8),
    #[error(
        "Invalid entity filter component combination. IP filter component should not be used with user or clientId \
         filter component."
    )]
    IpWithOthers,
}

impl BadFilter {
    fn code(&self) -> ErrorCode {
        match self {
            Self::UnknownType(_) => ErrorCode::UnsupportedVersion,
            Self::EmptyType | Self::RepeatedType(_) | Self::IpWithOthers => ErrorCode::InvalidRequest,
            Self::ExactWithoutName | Self::SuperfluousName(_) | Self::UnknownMatch(_) => ErrorCode::InvalidRequest,
        }
    }
}

pub(crate) fn handle(reply: &ReplyTo, request: &DescribeClientQuotasRequest) -> Answer {
    reply.now(&match check(&request.components) {
        Ok(()) => DescribeClientQuotasResponse { entries: Some(Vec::new()), ..Default::default() },
        Err(bad) => DescribeClientQuotasResponse {
            error_code: bad.code().code(),
            error_message: Some(bad.to_string()),
            entries: None,
            ..Default::default()
        },
    })
}

fn check(components: &[ComponentData]) -> Result<(), BadFilter> {
    components.iter().try_for_each(check_match)?;
    for (at, component) in components.iter().enumerate() {
        let entity = component.entity_type.as_str();
        if entity.is_empty() {
            return Err(BadFilter::EmptyType);
        }
        if components[..at].iter().any(|earlier| earlier.entity_type == entity) {
            return Err(BadFilter::RepeatedType(entity.to_owned()));
        }
        if !ENTITY_TYPES.contains(&entity) {
            return Err(BadFilter::UnknownType(entity.to_owned()));
        }
    }
    let names_ip = components.iter().any(|component| component.entity_type == "ip");
    if names_ip && components.len() > 1 { Err(BadFilter::IpWithOthers) } else { Ok(()) }
}

fn check_match(component: &ComponentData) -> Result<(), BadFilter> {
    match (component.match_type, component.r#match.is_some()) {
        (EXACT, true) | (DEFAULT | SPECIFIED, false) => Ok(()),
        (EXACT, false) => Err(BadFilter::ExactWithoutName),
        (DEFAULT, true) => Err(BadFilter::SuperfluousName("MATCH_TYPE_DEFAULT")),
        (SPECIFIED, true) => Err(BadFilter::SuperfluousName("MATCH_TYPE_SPECIFIED")),
        (other, _) => Err(BadFilter::UnknownMatch(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(components: &[(&str, i8, Option<&str>)]) -> Result<(), BadFilter> {
        let component = |(entity, match_type, name): &(&str, i8, Option<&str>)| ComponentData {
            entity_type: (*entity).to_owned(),
            match_type: *match_type,
            r#match: name.map(str::to_owned),
        };
        check(&components.iter().map(component).collect::<Vec<_>>())
    }

    #[test]
    fn filters_that_select_nothing_are_refused() {
        assert_eq!(verdict(&[("", DEFAULT, None)]), Err(BadFilter::EmptyType));
        assert_eq!(verdict(&[("ghost", DEFAULT, None)]), Err(BadFilter::UnknownType("ghost".to_owned())));
        let twice = [("user", DEFAULT, None), ("user", SPECIFIED, None)];
        assert_eq!(verdict(&twice), Err(BadFilter::RepeatedType("user".to_owned())));
        assert_eq!(verdict(&[("ip", SPECIFIED, None), ("user", SPECIFIED, None)]), Err(BadFilter::IpWithOthers));
        assert_eq!(verdict(&[("user", EXACT, None)]), Err(BadFilter::ExactWithoutName));
        let superfluous = BadFilter::SuperfluousName("MATCH_TYPE_DEFAULT");
        assert_eq!(verdict(&[("user", DEFAULT, Some("x"))]), Err(superfluous));
        assert_eq!(verdict(&[("user", 9, None)]), Err(BadFilter::UnknownMatch(9)));
    }

    #[test]
    fn filters_that_select_something_pass() {
        assert_eq!(verdict(&[]), Ok(()));
        assert_eq!(verdict(&[("user", EXACT, Some("u")), ("client-id", SPECIFIED, None)]), Ok(()));
        assert_eq!(verdict(&[("ip", DEFAULT, None)]), Ok(()));
    }
}
