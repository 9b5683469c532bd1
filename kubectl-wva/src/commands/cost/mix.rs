//! The cheapest numbers of replicas that together have a capacity.

/// Steps after which the search gives up: more variants, with more replicas, than anybody has seen.
const STEPS: usize = 1_000_000;

/// What one variant offers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Offer {
    /// Cost of a replica per hour.
    pub cost: f64,
    /// What a replica takes, in the unit of what is needed; above 0.
    pub capacity: f64,
    /// Fewest replicas.
    pub min: u32,
    /// Most replicas.
    pub max: u32,
}

/// Replicas of each offer that together take what is needed at the least cost; `None` when all of them together do not, or the
/// search is too long.
pub fn cheapest(offers: &[Offer], needed: f64) -> Option<Vec<u32>> {
    let mut order: Vec<usize> = (0..offers.len()).collect();
    let per_unit = |at: &usize| offers[*at].cost / offers[*at].capacity;
    order.sort_by(|a, b| per_unit(a).total_cmp(&per_unit(b)));
    let sorted: Vec<Offer> = order.iter().map(|at| offers[*at]).collect();
    let mut search = Search { offers: &sorted, chosen: vec![0; sorted.len()], best: None, steps: 0 };
    search.go(0, 0.0, needed);
    if search.steps >= STEPS {
        return None;
    }
    let (_, chosen) = search.best?;
    let mut answer = vec![0; offers.len()];
    for (at, replicas) in order.into_iter().zip(chosen) {
        answer[at] = replicas;
    }
    Some(answer)
}

/// Goes through all choices that can still be better than the best so far. Offers are in order of their cost for a unit.
struct Search<'a> {
    offers: &'a [Offer],
    chosen: Vec<u32>,
    best: Option<(f64, Vec<u32>)>,
    steps: usize,
}

impl Search<'_> {
    fn go(&mut self, at: usize, cost: f64, needed: f64) {
        self.steps += 1;
        if self.steps >= STEPS {
            return;
        }
        let Some(offer) = self.offers.get(at).copied() else {
            if needed <= 1e-9 && self.best.as_ref().is_none_or(|(best, _)| cost < best - 1e-9) {
                self.best = Some((cost, self.chosen.clone()));
            }
            return;
        };
        // From here on no unit costs less than this one's.
        let least = cost + needed.max(0.0) * offer.cost / offer.capacity;
        if self.best.as_ref().is_some_and(|(best, _)| least >= best - 1e-9) {
            return;
        }
        let enough = (needed.max(0.0) / offer.capacity - 1e-9).ceil().min(f64::from(offer.max));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the maximum")]
        let most = (enough.max(0.0) as u32).max(offer.min).min(offer.max);
        for replicas in (offer.min.min(most)..=most).rev() {
            self.chosen[at] = replicas;
            let replicas = f64::from(replicas);
            self.go(at + 1, cost + replicas * offer.cost, needed - replicas * offer.capacity);
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn offer(cost: f64, capacity: f64, min: u32, max: u32) -> Offer {
        Offer { cost, capacity, min, max }
    }

    #[rstest]
    #[case::one(&[offer(10.0, 2.0, 0, 9)], 5.0, Some(vec![3]))]
    #[case::the_better_value(&[offer(10.0, 1.0, 0, 9), offer(30.0, 4.0, 0, 9)], 8.0, Some(vec![0, 2]))]
    #[case::a_rest_for_the_small_one(&[offer(10.0, 1.0, 0, 9), offer(30.0, 4.0, 0, 9)], 9.0, Some(vec![1, 2]))]
    #[case::better_value_is_not_always_cheaper(&[offer(10.0, 3.0, 0, 9), offer(4.0, 1.0, 0, 9)], 4.0, Some(vec![1, 1]))]
    #[case::a_maximum(&[offer(10.0, 4.0, 0, 1), offer(30.0, 4.0, 0, 9)], 8.0, Some(vec![1, 1]))]
    #[case::a_minimum(&[offer(10.0, 4.0, 0, 9), offer(30.0, 4.0, 1, 9)], 8.0, Some(vec![1, 1]))]
    #[case::nothing_needed(&[offer(10.0, 4.0, 0, 9)], 0.0, Some(vec![0]))]
    #[case::not_to_be_had(&[offer(10.0, 4.0, 0, 2)], 9.0, None)]
    fn the_cheapest_mix(#[case] offers: &[Offer], #[case] needed: f64, #[case] expect: Option<Vec<u32>>) {
        assert_eq!(cheapest(offers, needed), expect);
    }

    #[test]
    fn no_other_mix_is_cheaper_and_enough() {
        let offers = [offer(7.0, 3.1, 0, 6), offer(11.0, 4.7, 1, 6), offer(3.0, 1.3, 0, 6)];
        for needed in [0.5, 3.0, 9.9, 17.2, 30.0] {
            let chosen = cheapest(&offers, needed).unwrap();
            let value = |of: fn(&Offer) -> f64, chosen: &[u32]| -> f64 {
                offers.iter().zip(chosen).map(|(it, replicas)| of(it) * f64::from(*replicas)).sum()
            };
            let cost = value(|it| it.cost, &chosen);
            assert!(value(|it| it.capacity, &chosen) >= needed - 1e-6);
            for a in 0..=6 {
                for b in 1..=6 {
                    for c in 0..=6 {
                        let other = [a, b, c];
                        let enough = value(|it| it.capacity, &other) >= needed;
                        assert!(
                            !enough || value(|it| it.cost, &other) >= cost - 1e-6,
                            "{needed}: {other:?} {chosen:?}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn many_variants_are_searched_in_time() {
        let offers: Vec<Offer> =
            (1..=8).map(|at| offer(10.0 + f64::from(at), f64::from(at) * 0.9 + 2.0, 0, 50)).collect();
        assert!(cheapest(&offers, 300.0).is_some());
    }
}
