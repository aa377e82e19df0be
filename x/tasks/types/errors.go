package types

import "cosmossdk.io/errors"

// Errors of the market. Numbers are on the wire: they are never reused, a dead one stays as a remark.
var (
	ErrParams       = errors.Register(ModuleName, 2, "invalid parameters")
	ErrUnauthorized = errors.Register(ModuleName, 3, "not allowed to the signer")
	ErrNotFound     = errors.Register(ModuleName, 4, "not found")
	ErrInvalidOffer = errors.Register(ModuleName, 5, "invalid offer")
	ErrInvalidJob   = errors.Register(ModuleName, 6, "invalid job")
	ErrInvalidShape = errors.Register(ModuleName, 7, "invalid shape")
	ErrLimit        = errors.Register(ModuleName, 8, "invalid limit")
	ErrFunds        = errors.Register(ModuleName, 9, "too little money")
	ErrState        = errors.Register(ModuleName, 10, "not possible in this state")
	ErrInvalidLease = errors.Register(ModuleName, 11, "invalid lease message")
	ErrResult       = errors.Register(ModuleName, 12, "invalid result")
	ErrCustody      = errors.Register(ModuleName, 13, "invalid custody receipt")
	ErrStanding     = errors.Register(ModuleName, 14, "NexCore may not trade")
	ErrGenesis      = errors.Register(ModuleName, 15, "invalid genesis")
)
