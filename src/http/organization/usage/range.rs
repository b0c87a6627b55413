use std::ops::RangeInclusive;

use crate::http::error::ApiError;
use crate::openai::admin::usage::{Bucket, BucketObject, UsagePage, UsagePageObject, UsageResult};
use crate::store::{MINUTES_KEPT, UsageSum, Width};

/// The end of the year 9999: far from where sums of seconds would overflow.
const LATEST: i64 = 253_402_300_799;
const PAGE: &str = "page_";

/// The query parameters that say which buckets.
pub struct Asked {
    pub start_time: i64,
    pub end_time: Option<i64>,
    pub limit: Option<i64>,
    pub page: Option<String>,
}

/// The buckets of one page. All times are unix seconds, and borders of buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    pub width: Width,
    pub from: i64,
    pub to: i64,
    /// Of the last page.
    end: i64,
}

impl Asked {
    /// # Errors
    /// [`ApiError`] that names the parameter at fault.
    pub fn usage(self, width: Width, now: i64) -> Result<Range, ApiError> {
        let (default, most) = match width {
            Width::Minute => (60, 1440),
            Width::Hour => (24, 168),
            Width::Day => (7, 31),
        };
        let range = self.range(width, now, default, most)?;
        if width == Width::Minute && range.from < down(now - MINUTES_KEPT, width) {
            let days = MINUTES_KEPT / 86_400;
            let message = format!(
                "Invalid 'start_time': by the minute usage is known for the last {days} days only; \
                 ask by the hour or by the day."
            );
            return Err(ApiError::param(
                "start_time",
                Some("invalid_value"),
                message,
            ));
        }
        Ok(range)
    }

    /// # Errors
    /// As [`Asked::usage`].
    pub fn costs(self, now: i64) -> Result<Range, ApiError> {
        self.range(Width::Day, now, 7, 180)
    }

    fn range(self, width: Width, now: i64, default: i64, most: i64) -> Result<Range, ApiError> {
        check("start_time", self.start_time, 0..=LATEST)?;
        let first = down(self.start_time, width);
        let end = match self.end_time {
            Some(end) => {
                check("end_time", end, 0..=LATEST)?;
                if end <= self.start_time {
                    let message = "Invalid 'end_time': it is not after 'start_time'.";
                    return Err(ApiError::param("end_time", Some("invalid_value"), message));
                }
                down(end - 1, width) + width.seconds()
            }
            None => down(now, width) + width.seconds(),
        };
        let limit = self.limit.unwrap_or(default);
        check("limit", limit, 1..=most)?;
        let from = match &self.page {
            None => first,
            Some(page) => {
                let start = page.strip_prefix(PAGE);
                let start = start.and_then(|start| i64::from_str_radix(start, 16).ok());
                let start = start
                    .filter(|start| (first..end).contains(start) && *start == down(*start, width));
                start.ok_or_else(|| {
                    let message = "Invalid 'page': expected the 'next_page' of an answer to the \
                                   same question.";
                    ApiError::param("page", Some("invalid_value"), message)
                })?
            }
        };
        Ok(Range {
            width,
            from,
            to: end.min(from + limit * width.seconds()),
            end,
        })
    }
}

impl Range {
    /// Ends the page at `border`, but not before it has a bucket.
    pub fn shorten(&mut self, border: i64) {
        self.to = border.max(self.from + self.width.seconds());
    }

    /// The page: every bucket, with its results. `sums` are in the order of the buckets.
    pub fn page<T: UsageResult>(
        &self,
        sums: Vec<UsageSum>,
        result: impl Fn(UsageSum) -> T,
    ) -> UsagePage<T> {
        let mut sums = sums.into_iter().peekable();
        let mut data = Vec::new();
        let mut start = self.from;
        while start < self.to {
            let end = start + self.width.seconds();
            let mut results = Vec::new();
            while let Some(sum) = sums.next_if(|sum| sum.start < end) {
                results.push(result(sum));
            }
            data.push(Bucket {
                object: BucketObject::It,
                start_time: start,
                end_time: end,
                results,
            });
            start = end;
        }
        let has_more = self.to < self.end;
        UsagePage {
            object: UsagePageObject::It,
            data,
            has_more,
            next_page: has_more.then(|| format!("{PAGE}{:x}", self.to)),
        }
    }
}

/// The start of the bucket that a time is in.
fn down(time: i64, width: Width) -> i64 {
    time - time.rem_euclid(width.seconds())
}

fn check(param: &str, given: i64, allowed: RangeInclusive<i64>) -> Result<(), ApiError> {
    if allowed.contains(&given) {
        return Ok(());
    }
    let (least, most) = (allowed.start(), allowed.end());
    let message =
        format!("Invalid '{param}': expected {least} to {most}, but got {given} instead.");
    Err(ApiError::param(param, Some("invalid_value"), message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openai::admin::usage::NoUsage;

    const DAY: i64 = 86_400;
    const NOW: i64 = 20_000 * DAY + 5 * 3600;

    fn asked(start_time: i64) -> Asked {
        Asked {
            start_time,
            end_time: None,
            limit: None,
            page: None,
        }
    }

    fn buckets(range: Range) -> Vec<(i64, i64)> {
        let page = range.page(Vec::new(), |_| NoUsage {});
        let borders = page.data.iter().map(|b| (b.start_time, b.end_time));
        borders.collect()
    }

    #[test]
    fn buckets_are_whole_and_cover_what_was_asked_for() {
        let today = NOW - NOW % DAY;
        let range = asked(today - DAY - 1).usage(Width::Day, NOW).expect("days");
        let days = [(-2, -1), (-1, 0), (0, 1)];
        let days = days.map(|(start, end)| (today + start * DAY, today + end * DAY));
        assert_eq!(buckets(range), days);
        for (end_time, last) in [(today, today), (today + 1, today + DAY)] {
            let end_time = Some(end_time);
            let asked = Asked {
                end_time,
                ..asked(today - DAY)
            };
            let range = asked.usage(Width::Day, NOW).expect("days");
            assert_eq!(buckets(range).last().expect("a day").1, last);
        }
        let range = asked(NOW + DAY).usage(Width::Hour, NOW).expect("none");
        assert!(buckets(range).is_empty(), "it has not begun");
    }

    #[test]
    fn minutes_are_known_for_a_while() {
        let oldest = NOW - MINUTES_KEPT;
        asked(oldest).usage(Width::Minute, NOW).expect("minutes");
        let refused = asked(oldest - 1).usage(Width::Minute, NOW);
        let param = refused.expect_err("too long ago").param;
        assert_eq!(param.as_deref(), Some("start_time"));
        asked(oldest - 1).usage(Width::Hour, NOW).expect("hours");
        // While the pages are read, time goes on.
        let first = asked(oldest).usage(Width::Minute, NOW).expect("minutes");
        let page = first.page(Vec::new(), |_| NoUsage {}).next_page;
        let next = Asked {
            page,
            ..asked(oldest)
        };
        let next = next.usage(Width::Minute, NOW + 3600).expect("minutes");
        assert_eq!(next.from, first.to);
    }

    #[test]
    fn a_shortened_page_is_continued_where_it_ends() {
        let mut range = asked(0).costs(NOW).expect("days");
        range.shorten(3 * DAY);
        let page = range.page(Vec::new(), |_| NoUsage {});
        assert_eq!(page.data.len(), 3);
        let next = Asked {
            page: page.next_page,
            ..asked(0)
        };
        assert_eq!(next.costs(NOW).expect("days").from, 3 * DAY);
        range.shorten(range.from);
        assert_eq!(range.to, range.from + DAY);
    }
}
