package nexcore

import (
	"fmt"

	autocliv1 "cosmossdk.io/api/cosmos/autocli/v1"

	"github.com/cosmos/cosmos-sdk/version"

	_ "github.com/nexara/nexara/x/nexcore/types" // registers the services that the names below belong to
)

const (
	queryService = "nexara.nexcore.v1.Query"
	msgService   = "nexara.nexcore.v1.Msg"
)

// AutoCLIOptions describes the commands that are generated from the services.
func (AppModule) AutoCLIOptions() *autocliv1.ModuleOptions {
	example := func(format string) string { return fmt.Sprintf(format, version.AppName) }
	arg := func(fields ...string) []*autocliv1.PositionalArgDescriptor {
		out := make([]*autocliv1.PositionalArgDescriptor, len(fields))
		for i, f := range fields {
			out[i] = &autocliv1.PositionalArgDescriptor{ProtoField: f}
		}
		return out
	}
	return &autocliv1.ModuleOptions{
		Query: &autocliv1.ServiceCommandDescriptor{
			Service: queryService,
			RpcCommandOptions: []*autocliv1.RpcCommandOptions{
				{
					RpcMethod: "Params", Use: "params", Short: "Show the parameters",
					Example: example("%s query nexcore params --output json"),
				},
				{
					RpcMethod: "NexCore", Use: "show [nexcore-id]", Short: "Show one NexCore",
					Example: example("%s query nexcore show 1"), PositionalArgs: arg("id"),
				},
				{
					RpcMethod: "NexCores", Use: "list", Short: "List NexCores; filters combine",
					Example: example("%s query nexcore list --region eu-west --runtime container --arch amd64 --page-limit 20"),
					FlagOptions: map[string]*autocliv1.FlagOptions{
						"operator": {Name: "operator", Usage: "only those of this operator's address"},
						"region":   {Name: "region", Usage: "only those in this region cell, such as eu-west"},
						"runtime":  {Name: "runtime", Usage: "only those that offer this runtime, such as container or wasm"},
						"arch":     {Name: "arch", Usage: "only those of this architecture, such as amd64"},
					},
				},
				{
					RpcMethod: "ByNodeAddress", Use: "by-node [node-address]", Short: "Show the NexCore of a hot node key",
					Example:        example("%s query nexcore by-node nexa1qyqszqgpqyqszqgpqyqszqgpqyqszqgpth02pe"),
					PositionalArgs: arg("node_address"),
				},
				{
					RpcMethod: "Unbondings", Use: "unbondings [nexcore-id]", Short: "List the queued unbondings of a NexCore",
					Example: example("%s query nexcore unbondings 1"), PositionalArgs: arg("nexcore_id"),
				},
			},
		},
		Tx: &autocliv1.ServiceCommandDescriptor{
			Service:              msgService,
			EnhanceCustomCommand: true,
			RpcCommandOptions: []*autocliv1.RpcCommandOptions{
				{RpcMethod: "Register", Skip: true}, // own command: reads what `nexcore init` wrote
				{
					RpcMethod: "Update", Use: "update [nexcore-id] [spec]", Short: "Replace what a NexCore says about itself",
					Example: example("%s tx nexcore update 1 spec.json --from operator"), PositionalArgs: arg("nexcore_id", "spec"),
				},
				{
					RpcMethod: "Bond", Use: "bond [nexcore-id] [amount]", Short: "Add to the bond of a NexCore, in micro-NEX",
					Example: example("%s tx nexcore bond 1 50000000 --from operator"), PositionalArgs: arg("nexcore_id", "amount"),
				},
				{
					RpcMethod: "Unbond", Use: "unbond [nexcore-id] [amount]", Short: "Start taking free bond out, in micro-NEX",
					Long:    "Start taking free bond out, in micro-NEX. It is paid after the unbonding time. min_bond stays; to take all out, deregister.",
					Example: example("%s tx nexcore unbond 1 50000000 --from operator"), PositionalArgs: arg("nexcore_id", "amount"),
				},
				{
					RpcMethod: "Drain", Use: "drain [nexcore-id]", Short: "Stop new leases of a NexCore, or allow them again",
					Example: example("%[1]s tx nexcore drain 1 --from operator\n%[1]s tx nexcore drain 1 --drain=false --from operator"),
					FlagOptions: map[string]*autocliv1.FlagOptions{
						"drain": {Name: "drain", Usage: "true stops new leases, false allows them again (operator only)", DefaultValue: "true"},
					},
					PositionalArgs: arg("nexcore_id"),
				},
				{
					RpcMethod: "Deregister", Use: "deregister [nexcore-id]", Short: "Leave the market and unbond everything; no lease may be open",
					Example: example("%s tx nexcore deregister 1 --from operator"), PositionalArgs: arg("nexcore_id"),
				},
				{
					RpcMethod: "Unjail", Use: "unjail [nexcore-id]", Short: "Return a jailed NexCore to the market after its time",
					Example: example("%s tx nexcore unjail 1 --from operator"), PositionalArgs: arg("nexcore_id"),
				},
				{
					RpcMethod: "UpdateParams", Use: "update-params-proposal [params]", Short: "Propose new parameters, all of them, as JSON or FILE.json",
					Example: example("%s tx nexcore update-params-proposal params.json --from proposer"), PositionalArgs: arg("params"),
					GovProposal: true,
				},
			},
		},
	}
}
