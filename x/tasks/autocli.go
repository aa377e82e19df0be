package tasks

import (
	autocliv1 "cosmossdk.io/api/cosmos/autocli/v1"
)

func arg(name string) *autocliv1.PositionalArgDescriptor {
	return &autocliv1.PositionalArgDescriptor{ProtoField: name}
}

func args(names ...string) []*autocliv1.PositionalArgDescriptor {
	var out []*autocliv1.PositionalArgDescriptor
	for _, n := range names {
		out = append(out, arg(n))
	}
	return out
}

// AutoCLIOptions describes the commands. Submission has its own command, which reads job.yaml.
func (AppModule) AutoCLIOptions() *autocliv1.ModuleOptions {
	return &autocliv1.ModuleOptions{
		Query: &autocliv1.ServiceCommandDescriptor{
			Service: "nexara.tasks.v1.Query",
			RpcCommandOptions: []*autocliv1.RpcCommandOptions{
				{RpcMethod: "Params", Use: "params", Short: "Show the market's parameters", Example: "nexarad query tasks params"},
				{RpcMethod: "Offer", Use: "offer NEXCORE", Short: "Show a NexCore's standing offer and standing", Example: "nexarad query tasks offer 1", PositionalArgs: args("nexcore_id")},
				{RpcMethod: "Offers", Use: "offers", Short: "List standing offers", Example: "nexarad query tasks offers --page-limit 20"},
				{RpcMethod: "Job", Use: "job JOB", Short: "Show a job", Example: "nexarad query tasks job 1", PositionalArgs: args("id")},
				{RpcMethod: "Jobs", Use: "jobs", Short: "List jobs", Example: "nexarad query tasks jobs --requester nexa1..."},
				{RpcMethod: "Shards", Use: "shards JOB", Short: "List a job's shards as ranges", Example: "nexarad query tasks shards 1", PositionalArgs: args("job_id")},
				{RpcMethod: "Lease", Use: "lease LEASE", Short: "Show a lease", Example: "nexarad query tasks lease 1", PositionalArgs: args("id")},
				{RpcMethod: "Leases", Use: "leases JOB", Short: "List a job's leases", Example: "nexarad query tasks leases 1", PositionalArgs: args("job_id")},
				{RpcMethod: "Assignments", Use: "assignments NEXCORE", Short: "List a NexCore's live leases with their jobs", Example: "nexarad query tasks assignments 1", PositionalArgs: args("nexcore_id")},
				{RpcMethod: "Payouts", Use: "payouts JOB", Short: "List who got what from a job", Example: "nexarad query tasks payouts 1", PositionalArgs: args("job_id")},
				{RpcMethod: "WhyNot", Use: "why-not JOB", Short: "Say why a job does not match, and the cheapest change that would", Example: "nexarad query tasks why-not 1", PositionalArgs: args("job_id")},
				{RpcMethod: "Market", Use: "market", Short: "Show statistics and the last clearing", Example: "nexarad query tasks market"},
				{RpcMethod: "Clearing", Use: "clearing HEIGHT", Short: "Show the record of a block's clearing: welfare, bound, gap, prices (0: the last one)", Example: "nexarad query tasks clearing 0", PositionalArgs: args("height")},
				{RpcMethod: "ClearingModel", Skip: true}, // nexarad verify clearing reads it
				{RpcMethod: "Money", Use: "money", Short: "Check the money law: what records say and what accounts hold", Example: "nexarad query tasks money"},
				{RpcMethod: "Tombstone", Use: "tombstone JOB", Short: "Show what is left of a pruned job", Example: "nexarad query tasks tombstone 1", PositionalArgs: args("job_id")},
			},
		},
		Tx: &autocliv1.ServiceCommandDescriptor{
			Service:              "nexara.tasks.v1.Msg",
			EnhanceCustomCommand: true,
			RpcCommandOptions: []*autocliv1.RpcCommandOptions{
				{RpcMethod: "Submit", Skip: true}, // own command: reads job.yaml
				{RpcMethod: "UpdateParams", Use: "update-params-proposal PARAMS", Short: "Propose new parameters, all of them, as JSON or FILE.json", Example: "nexarad tx tasks update-params-proposal params.json --from proposer", PositionalArgs: args("params"), GovProposal: true},
				{RpcMethod: "Deliver", Skip: true}, // made by the daemon alone
				{
					RpcMethod: "PostOffer", Use: "post-offer ASK CAPACITY", Short: "Replace the standing offer (hot node key); the daemon does this by itself",
					Long: "Replace the standing offer. ASK is anex per unit and second, CAPACITY the whole vector offered; each is JSON or the name of a file that " +
						"ends in .json. A changed ask is in force ask_delay blocks later.",
					Example:        "nexarad tx tasks post-offer ask.json capacity.json --runtimes wasm --max-run-seconds 3600 --from node",
					PositionalArgs: args("ask", "capacity"),
				},
				{RpcMethod: "TopUp", Use: "top-up JOB LIMIT", Short: "Raise the limit per shard (micro-NEX) of shards not yet leased", Example: "nexarad tx tasks top-up 1 60000 --from alice", PositionalArgs: args("job_id", "limit")},
				{RpcMethod: "Cancel", Use: "cancel JOB", Short: "Cancel a job; running shards are paid in full", Example: "nexarad tx tasks cancel 1 --from alice", PositionalArgs: args("job_id")},
				{RpcMethod: "Acknowledge", Use: "acknowledge LEASE...", Short: "Acknowledge leases (hot node key)", Example: "nexarad tx tasks acknowledge 7 8 --from node", PositionalArgs: []*autocliv1.PositionalArgDescriptor{{ProtoField: "lease_ids", Varargs: true}}},
				{RpcMethod: "Decline", Use: "decline LEASE REASON", Short: "Decline a lease (hot node key)", Example: "nexarad tx tasks decline 7 no-capacity --from node", PositionalArgs: args("lease_id", "reason")},
				{RpcMethod: "RefreshOffer", Use: "refresh-offer", Short: "Keep the standing offer standing (hot node key)", Example: "nexarad tx tasks refresh-offer --from node"},
				{RpcMethod: "WithdrawOffer", Use: "withdraw-offer", Short: "Take the standing offer away at once (hot node key)", Example: "nexarad tx tasks withdraw-offer --from node"},
			},
		},
	}
}
