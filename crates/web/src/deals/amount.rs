//! Sums and shares of amounts, which services give as decimal texts.

use std::collections::BTreeMap;

use guildhall_deals::Currency;

/// An amount in the minor units of its currency; 0 if it is no number.
pub(super) fn minor(amount: &str, currency: &Currency) -> i128 {
    currency.minor(amount).unwrap_or_default()
}

/// The share of an amount in another one of the same currency, in percent from 0 to 100.
pub(super) fn percent(part: i128, whole: i128) -> u8 {
    if whole <= 0 {
        return 0;
    }
    u8::try_from((part.max(0).saturating_mul(100) / whole).min(100)).unwrap_or(100)
}

/// The sums of amounts per currency.
pub(super) fn sums<'a>(amounts: impl Iterator<Item = (&'a Currency, &'a str)>) -> Vec<(Currency, String)> {
    let mut sums: BTreeMap<&Currency, i128> = BTreeMap::new();
    for (currency, amount) in amounts {
        *sums.entry(currency).or_default() += minor(amount, currency);
    }
    sums.into_iter().map(|(currency, sum)| (currency.clone(), currency.format(sum))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_summed_per_currency() {
        let (euro, yen) = (Currency::from_code("EUR").unwrap(), Currency::from_code("JPY").unwrap());
        let amounts = [(&euro, "1200.50"), (&yen, "7"), (&euro, "-0.75")];
        let large = [(&euro, "90000000000000000000.00"), (&euro, "0.01")];
        assert_eq!(sums(large.into_iter()), [(euro.clone(), "90000000000000000000.01".into())]);
        assert_eq!(sums(amounts.into_iter()), [(euro.clone(), "1199.75".into()), (yen.clone(), "7".into())]);
    }

    #[test]
    fn a_share_is_from_0_to_100_percent() {
        assert_eq!((percent(1, 4), percent(9, 4), percent(-1, 4), percent(1, 0)), (25, 100, 0, 0));
    }
}
