//! Headers to be sent with every query, such as the tenant that Mimir and Cortex want.

use std::fmt;

use reqwest::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING,
};

/// Headers of the request itself.
const OWN: [HeaderName; 5] = [CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING];

/// Headers; their values may be secrets and are never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(HeaderMap);

impl Headers {
    /// Reads `X-Scope-OrgID=team-a`, several separated by commas, or each on a line of its own, where values may hold
    /// commas. A colon does as well as the equals sign.
    ///
    /// # Errors
    /// What is wrong with it, in words for a person, and without the values.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut headers = HeaderMap::new();
        for entry in entries(text) {
            let (name, value) = split(entry).ok_or_else(|| wrong("an entry has no ="))?;
            let name: HeaderName = name.parse().map_err(|_| wrong(&format!("{name:?} is not the name of a header")))?;
            if OWN.contains(&name) {
                return Err(wrong(&format!("{name} is set by the query itself")));
            }
            let mut value: HeaderValue =
                value.parse().map_err(|_| wrong(&format!("the value of {name} cannot be sent in a header")))?;
            value.set_sensitive(true);
            headers.append(name, value);
        }
        Ok(Self(headers))
    }

    /// The headers, to be sent.
    pub fn expose(&self) -> &HeaderMap {
        &self.0
    }

    /// Their values.
    pub fn values(&self) -> impl Iterator<Item = String> {
        self.0.values().filter_map(|value| Some(value.to_str().ok()?.to_owned()))
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

fn wrong(why: &str) -> String {
    format!("is not a list of headers: {why}; write them like X-Scope-OrgID=team-a, several separated by commas")
}

/// The entries: lines if there are several, otherwise what stands between commas.
pub(super) fn entries(text: &str) -> impl Iterator<Item = &str> {
    let separator = if text.trim().contains('\n') { '\n' } else { ',' };
    text.split(separator).map(str::trim).filter(|entry| !entry.is_empty())
}

/// Name and value of an entry.
pub(super) fn split(entry: &str) -> Option<(&str, &str)> {
    let (name, value) = entry.split_once(['=', ':'])?;
    Some((name.trim(), value.trim()))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn read(text: &str) -> Vec<(String, String)> {
        let headers = Headers::parse(text).unwrap();
        let pair = |(name, value): (&HeaderName, &HeaderValue)| (name.to_string(), value.to_str().unwrap().to_owned());
        headers.expose().iter().map(pair).collect()
    }

    #[rstest]
    #[case::one("X-Scope-OrgID=team-a", &[("x-scope-orgid", "team-a")])]
    #[case::as_it_goes_over_the_wire("X-Scope-OrgID: team-a|team-b", &[("x-scope-orgid", "team-a|team-b")])]
    #[case::several("A=1, B=2=3,", &[("a", "1"), ("b", "2=3")])]
    #[case::lines("A=1,2\nB: x:y\n", &[("a", "1,2"), ("b", "x:y")])]
    #[case::nothing("", &[])]
    fn headers_are_read(#[case] text: &str, #[case] expect: &[(&str, &str)]) {
        let expect: Vec<_> = expect.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        assert_eq!(read(text), expect);
    }

    #[rstest]
    #[case::no_name("s3cret", "an entry has no =")]
    #[case::bad_name("a b=s3cret", "\"a b\" is not the name of a header")]
    #[case::of_the_request("Content-Length=s3cret", "content-length is set by the query itself")]
    #[case::not_for_a_header("X=s3cret\u{7}", "the value of x cannot be sent")]
    fn anything_else_is_refused_without_showing_a_value(#[case] text: &str, #[case] expect: &str) {
        let error = Headers::parse(text).unwrap_err();
        assert!(error.contains(expect) && !error.contains("s3cret"), "{error}");
    }

    #[test]
    fn headers_show_their_names_only() {
        let headers = Headers::parse("X-Scope-OrgID=s3cret").unwrap();
        assert_eq!(format!("{headers:?} {:?}", headers.expose()), "{\"x-scope-orgid\"} {\"x-scope-orgid\": Sensitive}");
    }
}
