//! A price list: what one GPU costs for an hour, by accelerator.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use wva_engine::accelerator::type_of;

use crate::Error;

/// Prices of one GPU for an hour, by the type of the accelerator: names that mean the same GPU have the same price.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prices(BTreeMap<String, f64>);

impl Prices {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, or says something else than one price for each accelerator.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let failed = |source| Error::File { path: path.to_owned(), source };
        let text = std::fs::read_to_string(path).map_err(failed)?;
        Self::parse(&text).map_err(|why| failed(io::Error::new(io::ErrorKind::InvalidData, why)))
    }

    /// Reads lines such as `A100: 3.67`.
    ///
    /// # Errors
    /// When one says something else, what is wrong and what it should look like.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wanted = "--prices wants lines such as `A100: 3.67`, the price of one GPU for an hour";
        // What follows its first line shows the file, which the user has.
        let told = |error: serde_saphyr::Error| {
            let text = error.to_string();
            text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
        };
        let listed: BTreeMap<String, f64> =
            serde_saphyr::from_str(text).map_err(|error| format!("{wanted}: {}", told(error)))?;
        if listed.is_empty() {
            return Err(format!("{wanted}; it has none"));
        }
        let mut prices = BTreeMap::new();
        for (name, price) in listed {
            if !price.is_finite() || price < 0.0 {
                return Err(format!("{wanted}; {name} costs {price}"));
            }
            if prices.insert(type_of(&name), price).is_some_and(|other| other.to_bits() != price.to_bits()) {
                return Err(format!(
                    "{wanted}; two lines with different prices mean the accelerator {}",
                    type_of(&name)
                ));
            }
        }
        Ok(Self(prices))
    }

    /// Price of one GPU of this name for an hour.
    pub fn of(&self, accelerator: &str) -> Option<f64> {
        self.0.get(&type_of(accelerator)).copied()
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn names_that_mean_the_same_gpu_have_the_same_price() {
        let prices = Prices::parse("A100: 3.67\nNVIDIA-H100-80GB-HBM3: 10\n").unwrap();
        assert_eq!((prices.of("NVIDIA-A100-PCIE-80GB"), prices.of("H100")), (Some(3.67), Some(10.0)));
        assert_eq!(prices.of("MI300X"), None);
    }

    #[rstest]
    #[case::empty("")]
    #[case::no_price("A100: cheap")]
    #[case::negative("A100: -1")]
    #[case::a_list("- A100")]
    #[case::two_prices("A100: 1\nNVIDIA-A100-80GB: 2")]
    fn what_is_no_price_list_says_what_one_looks_like(#[case] text: &str) {
        let error = Prices::parse(text).unwrap_err();
        assert!(error.contains("`A100: 3.67`") && error.lines().count() == 1, "{error}");
    }
}
