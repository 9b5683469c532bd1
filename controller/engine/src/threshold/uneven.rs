//! Load that does not reach the variants alike: whoever sends requests goes by one variant's address.

use super::{Analysis, VariantAnalysis};
use crate::note::Note;

/// A variant all of whose replicas are saturated, beside one of the same model that is used by less than half; `None`
/// when there is no such pair. More replicas help neither: the model as a whole has room.
pub fn uneven(analysis: &Analysis) -> Option<Note> {
    let saturated = |it: &&VariantAnalysis| it.replicas > 0 && it.non_saturated == 0;
    let idle = |it: &&VariantAnalysis| {
        let (kv, queue) = (analysis.thresholds.kv_cache_threshold, analysis.thresholds.queue_length_threshold);
        it.replicas > 0 && it.max_kv_usage * 2.0 < kv && it.max_queue_length * 2.0 < queue
    };
    let name = |found: &VariantAnalysis| found.variant.clone();
    let saturated = analysis.variants.iter().find(saturated).map(name)?;
    let idle = analysis.variants.iter().find(idle).map(name)?;
    Some(Note::UnevenLoad { saturated, idle })
}
