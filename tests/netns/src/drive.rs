//! All scenarios at once, each in its own world, its runs one after the other.

use clap::Args;
use tokio::task::JoinSet;

use crate::checker::{self, Run};
use crate::options::Means;
use crate::scenario::Scenario;
use crate::table;
use crate::world::{Result, World};

/// What can be chosen.
#[derive(Args, Clone, Debug)]
pub struct Drive {
    /// The namespaces are named PREFIX-SCENARIO-c, -r and -s
    #[arg(long)]
    pub prefix: String,
    /// What makes the paths slow and lossy
    #[arg(long, value_enum)]
    pub means: Means,
    /// Only these scenarios
    #[arg(long, value_delimiter = ',')]
    pub only: Vec<String>,
    /// Runs of each scenario, instead of its own number
    #[arg(long)]
    pub runs: Option<u32>,
    /// For the losses
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Print one JSON object instead of the table
    #[arg(long)]
    pub json: bool,
}

/// What one scenario showed.
pub struct Shown {
    pub scenario: Scenario,
    pub runs: Vec<Run>,
    /// Why it could not be run to its end.
    pub error: Option<String>,
}

/// Whether all is as it should be.
pub async fn drive(options: Drive) -> std::result::Result<bool, Box<dyn std::error::Error>> {
    let chosen =
        |scenario: &Scenario| options.only.is_empty() || options.only.iter().any(|name| name == scenario.name());
    let mut worlds = JoinSet::new();
    for (index, scenario) in Scenario::all()
        .into_iter()
        .enumerate()
        .filter(|(_, scenario)| chosen(scenario))
    {
        let options = options.clone();
        worlds.spawn(async move { (index, in_its_world(scenario, &options).await) });
    }
    let mut all = worlds.join_all().await;
    all.sort_by_key(|(index, _)| *index);
    let all: Vec<Shown> = all.into_iter().map(|(_, shown)| shown).collect();
    Ok(table::print(&options, &all))
}

async fn in_its_world(scenario: Scenario, options: &Drive) -> Shown {
    let mut runs = Vec::new();
    let outcome = async {
        let prefix = format!("{}-{}", options.prefix, scenario.name());
        let mut world = World::open(prefix, options.means, options.seed).await?;
        for nth in 0..options.runs.unwrap_or(scenario.runs()) {
            world.restore().await?;
            let record = scenario.run(nth, &mut world).await?;
            runs.push(checker::check(scenario, &record));
        }
        Result::Ok(())
    };
    let error = outcome.await.err().map(|error| error.to_string());
    Shown { scenario, runs, error }
}
