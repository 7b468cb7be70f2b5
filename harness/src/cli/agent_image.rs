//! `podferry agent-image`: the image of the agent for nodes of a cluster that is there already.

use super::args::AgentImageArgs;
use super::run::{Refusal, own_program};
use super::terminal::print;
use crate::image;
use crate::record::{Chain, Failure};
use crate::run::Exit;

/// Writes it, and prints its name.
pub(super) async fn agent_image(args: &AgentImageArgs) -> Exit {
    match write(args).await {
        Ok(name) => {
            print(&name);
            Exit::Passed
        }
        Err(refusal) => refusal.tell(),
    }
}

async fn write(args: &AgentImageArgs) -> Result<String, Refusal> {
    let written = image::agent_layout(&own_program()?, &args.out).await;
    Ok(written.map_err(|e| Failure::surroundings(Chain(&e).to_string()))?)
}
