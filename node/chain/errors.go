package chain

import (
	"errors"
	"fmt"
)

// Sentinels, asked with errors.Is.
var (
	// ErrConfig: the configuration cannot work.
	ErrConfig = errors.New("chain: invalid configuration")
	// ErrUnreachable: no answer from the node in time.
	ErrUnreachable = errors.New("chain: node unreachable")
	// ErrResponse: the node answered something that is not an answer, or too much of it.
	ErrResponse = errors.New("chain: bad response")
	// ErrWrongChain: the node belongs to another chain.
	ErrWrongChain = errors.New("chain: wrong chain id")
	// ErrSyncing: the node is catching up; what it says is old.
	ErrSyncing = errors.New("chain: node is catching up")
	// ErrNotFound: the record is not there.
	ErrNotFound = errors.New("chain: not found")
	// ErrQuery: the node refused a query.
	ErrQuery = errors.New("chain: query refused")
	// ErrPending: the transaction is in no block yet.
	ErrPending = errors.New("chain: transaction pending")
	// ErrTx: a transaction was refused or failed. All errors below belong to it.
	ErrTx = errors.New("chain: transaction failed")
	// ErrClockSkew: this machine's clock is wrong.
	ErrClockSkew = errors.New("chain: clock skew")
	// ErrStale: no fresh block, so the clock cannot be judged.
	ErrStale = errors.New("chain: no fresh block")
)

// Classes of failed transactions.
var (
	// ErrUnauthorized: the signer may not do that.
	ErrUnauthorized = class{"unauthorized"}
	// ErrFunds: nobody pays for gas, or too little money.
	ErrFunds = class{"insufficient funds"}
	// ErrFee: the fee is below the node's minimum.
	ErrFee = class{"fee too low"}
	// ErrOutOfGas: the gas limit was too low.
	ErrOutOfGas = class{"out of gas"}
	// ErrBusy: the mempool is full; try again later.
	ErrBusy = class{"mempool full"}
	// ErrRequest: malformed, or its time is over; signing it again may help.
	ErrRequest = class{"invalid request"}
	// ErrLease: the lease is unknown or no longer in a state for this message.
	ErrLease = class{"lease not in this state"}
	// ErrResult: the chain refuses the result's form.
	ErrResult = class{"invalid result"}
	// ErrCustody: the chain refuses the custody receipt.
	ErrCustody = class{"invalid custody receipt"}
	// ErrOffer: the chain refuses the offer.
	ErrOffer = class{"invalid offer"}
	// ErrStanding: the NexCore may not trade now.
	ErrStanding = class{"may not trade"}
)

// class is a sentinel under ErrTx. It is comparable, so errors.Is finds it by value.
type class struct{ text string }

func (c class) Error() string { return "chain: " + c.text }
func (c class) Unwrap() error { return ErrTx }

// codes maps codespace and code to a class. The numbers are on the wire and never reused.
var codes = map[string]map[uint32]error{
	"sdk": {
		4: ErrUnauthorized, 5: ErrFunds, 9: ErrFunds, 11: ErrOutOfGas, 13: ErrFee, 18: ErrRequest,
		20: ErrBusy, 30: ErrRequest, 32: ErrRequest, 38: ErrFunds, 41: ErrOutOfGas,
		42: ErrRequest,
	},
	"feegrant": {2: ErrFunds, 3: ErrFunds, 5: ErrFunds, 6: ErrFunds},
	"tasks": {
		3: ErrUnauthorized, 4: ErrLease, 5: ErrOffer, 10: ErrLease, 11: ErrLease, 12: ErrResult,
		13: ErrCustody, 14: ErrStanding,
	},
}

// TxError is a transaction that the chain refused at the door (Height 0) or in a block.
type TxError struct {
	Hash      string
	Height    int64
	Codespace string
	Code      uint32
	// Log is for people only.
	Log string
}

// Error names the code; the log of the node is for people.
func (e *TxError) Error() string {
	return fmt.Sprintf("%v: %s code %d: %s", e.Unwrap(), e.Codespace, e.Code, clip(e.Log, 300))
}

// Unwrap gives the class, or ErrTx when the code has none.
func (e *TxError) Unwrap() error {
	if err, ok := codes[e.Codespace][e.Code]; ok {
		return err
	}
	return ErrTx
}

// RPCError is a JSON-RPC error of the node.
type RPCError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Data    string `json:"data"`
}

// Error is for people.
func (e *RPCError) Error() string {
	return fmt.Sprintf("chain: rpc error %d: %s: %s", e.Code, clip(e.Message, 100), clip(e.Data, 300))
}

// Unwrap puts it in the class of refused queries.
func (e *RPCError) Unwrap() error { return ErrQuery }

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n] + "..."
}
