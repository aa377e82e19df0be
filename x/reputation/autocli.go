package reputation

import (
	"fmt"

	autocliv1 "cosmossdk.io/api/cosmos/autocli/v1"

	"github.com/cosmos/cosmos-sdk/version"

	_ "github.com/nexara/nexara/x/reputation/types" // registers the services that the names below belong to
)

// AutoCLIOptions describes the commands that are generated from the services.
func (AppModule) AutoCLIOptions() *autocliv1.ModuleOptions {
	example := func(format string) string { return fmt.Sprintf(format, version.AppName) }
	arg := func(field string) []*autocliv1.PositionalArgDescriptor {
		return []*autocliv1.PositionalArgDescriptor{{ProtoField: field}}
	}
	return &autocliv1.ModuleOptions{
		Query: &autocliv1.ServiceCommandDescriptor{
			Service: "nexara.reputation.v1.Query",
			RpcCommandOptions: []*autocliv1.RpcCommandOptions{
				{
					RpcMethod: "Params", Use: "params", Short: "Show the parameters",
					Example: example("%s query reputation params --output json"),
				},
				{
					RpcMethod: "Scores", Use: "scores [subject]", Short: "Show every score of a NexCore or of a requester",
					Example: example("%[1]s query reputation scores nexcore/1\n" +
						"%[1]s query reputation scores requester/nexa1qyqszqgpqyqszqgpqyqszqgpqyqszqgpth02pe"),
					PositionalArgs: arg("subject"),
				},
				{
					RpcMethod: "OutcomesHash", Use: "outcomes-hash [height]", Short: "Show the commitment to a block's outcome records",
					Example: example("%s query reputation outcomes-hash 1200"), PositionalArgs: arg("height"),
				},
				{
					RpcMethod: "Tallies", Use: "tallies", Short: "List the state behind all scores",
					Example: example("%s query reputation tallies --page-limit 20"),
				},
			},
		},
		Tx: &autocliv1.ServiceCommandDescriptor{
			Service: "nexara.reputation.v1.Msg",
			RpcCommandOptions: []*autocliv1.RpcCommandOptions{
				{
					RpcMethod: "UpdateParams", Use: "update-params-proposal [params]", Short: "Propose new parameters, all of them, as JSON or FILE.json",
					Example: example("%s tx reputation update-params-proposal params.json --from proposer"), PositionalArgs: arg("params"),
					GovProposal: true,
				},
			},
		},
	}
}
