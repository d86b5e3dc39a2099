//! The strategies: a file each, registered by a line here and one where configuration names them.

mod headroom;
mod least_busy;
mod least_latency;
mod lowest_cost;
mod random;
mod split;
mod sticky;
mod weighted_round_robin;

pub use headroom::Headroom;
pub use least_busy::LeastBusy;
pub use least_latency::{LatencyOf, LeastLatency};
pub use lowest_cost::LowestCost;
pub use random::Random;
pub use split::Split;
pub use sticky::Sticky;
pub use weighted_round_robin::WeightedRoundRobin;
