//! Tokens of code hosts, build servers and package registries.

use super::super::patterns::{Candidate, Pattern, Verdict};
use super::{CERTAIN, DISTINCT, LIKELY, check, mixed, rated, secret, token};

pub(super) static PATTERNS: [Pattern; 31] = [
    secret("github_token", r"gh[pousr]_[A-Za-z0-9]{20,}", checked),
    token("github_token", r"github_pat_[A-Za-z0-9_]{36,}"),
    // https://docs.gitlab.com/security/tokens/#token-prefixes
    token(
        "gitlab_token",
        r"(?-u:\b)gl(?:pat|ptt|dt|rt|rtr|cbt|ft|imt|agent|soat|oas|ffct|wt)-[A-Za-z0-9_.-]{18,}",
    ),
    token("gitlab_token", r"(?-u:\b)GR1348941[A-Za-z0-9_-]{18,}"),
    token(
        "atlassian_token",
        r"(?-u:\b)AT[AC]TT3xFf[A-Za-z0-9_=-]{40,}",
    ),
    mixed("atlassian_token", r"(?-u:\b)AT[AC]TT3[A-Za-z0-9_=-]{60,}"),
    mixed("bitbucket_token", r"(?-u:\b)ATBB[A-Za-z0-9]{28,}"),
    secret("npm_token", r"(?-u:\b)npm_[A-Za-z0-9]{36,}", checked),
    // A macaroon, whose first bytes name the registry.
    token(
        "pypi_token",
        r"pypi-Ag(?:EIcHlwaS5vcmc|ENdGVzdC5weXBpLm9yZw)[A-Za-z0-9_-]{30,}",
    ),
    token("pypi_token", r"(?-u:\b)pypi-[A-Za-z0-9_-]{50,}"),
    mixed("crates_io_token", r"(?-u:\b)cio[A-Za-z0-9]{32,}"),
    token("rubygems_token", r"(?-u:\b)rubygems_[a-f0-9]{48,}"),
    mixed("nuget_token", r"(?-u:\b)oy2[a-z0-9]{43,}"),
    token(
        "packagist_token",
        r"(?-u:\b)packagist_[ou][ruc][ats]_[a-f0-9]{40,}",
    ),
    token("clojars_token", r"(?-u:\b)CLOJARS_[a-z0-9]{60,}"),
    token(
        "docker_token",
        r"(?-u:\b)dckr_(?:pat|oat)_[A-Za-z0-9_-]{20,}",
    ),
    mixed("artifactory_token", r"(?-u:\b)AKC[A-Za-z0-9]{60,}"),
    token("artifactory_token", r"(?-u:\b)cmVmdGtuO[A-Za-z0-9]{50,}"),
    token(
        "buildkite_token",
        r"(?-u:\b)bk(?:ua|at|ct|aj|pt)_[a-z0-9]{40,}",
    ),
    token(
        "circleci_token",
        r"(?-u:\b)CCI(?:PAT|PRJ)_[A-Za-z0-9]{16,30}_[a-f0-9]{40,}",
    ),
    token("sonar_token", r"(?-u:\b)sq[pua]_[a-f0-9]{40,}"),
    token(
        "sourcegraph_token",
        r"(?-u:\b)(?:sgp|slk)_(?:[a-z0-9]{5,20}_(?:local_)?)?[a-fA-F0-9]{40,}",
    ),
    token(
        "harness_token",
        r"(?-u:\b)(?:pat|sat)\.[A-Za-z0-9_-]{22}\.[a-f0-9]{24}\.[A-Za-z0-9]{20,}",
    ),
    token("octopus_token", r"(?-u:\b)API-[A-Z0-9]{26,}"),
    token("unkey_token", r"(?-u:\b)unkey_[A-Za-z0-9]{20,}"),
    token("prefect_token", r"(?-u:\b)pn[ub]_[A-Za-z0-9]{36,}"),
    token("scalingo_token", r"(?-u:\b)tk-us-[A-Za-z0-9_-]{48,}"),
    token("readme_token", r"(?-u:\b)rdme_[a-z0-9]{70,}"),
    mixed("dependency_track_key", r"(?-u:\b)odt_[A-Za-z0-9_]{32,}"),
    mixed("wundergraph_token", r"(?-u:\b)cosmo_[a-f0-9]{32,}"),
    mixed("spectral_token", r"(?-u:\b)sp[uts]-[a-z0-9]{32}(?-u:\b)"),
];

/// A token whose last six characters are a checksum of those after the prefix. Others with this
/// prefix have been issued, and more may be.
fn checked(candidate: &Candidate<'_>) -> Option<Verdict> {
    let body = candidate.text.split_once('_')?.1;
    let head = body.get(..36).unwrap_or(body);
    match (check::has_base62_checksum(head), body.len()) {
        (true, _) => candidate.whole(CERTAIN),
        (_, 36..) => rated(candidate, DISTINCT - 0.05),
        _ => rated(candidate, LIKELY),
    }
}
