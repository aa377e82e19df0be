package types

import (
	"google.golang.org/grpc/codes"

	"cosmossdk.io/errors"
)

// Errors of the market. Numbers are on the wire: they are never reused, a dead one stays as a remark.
var (
	ErrParams       = errors.RegisterWithGRPCCode(ModuleName, 2, codes.InvalidArgument, "invalid parameters")
	ErrUnauthorized = errors.RegisterWithGRPCCode(ModuleName, 3, codes.PermissionDenied, "not allowed to the signer")
	ErrNotFound     = errors.RegisterWithGRPCCode(ModuleName, 4, codes.NotFound, "not found")
	ErrInvalidOffer = errors.RegisterWithGRPCCode(ModuleName, 5, codes.InvalidArgument, "invalid offer")
	ErrInvalidJob   = errors.RegisterWithGRPCCode(ModuleName, 6, codes.InvalidArgument, "invalid job")
	ErrInvalidShape = errors.RegisterWithGRPCCode(ModuleName, 7, codes.InvalidArgument, "invalid shape")
	ErrLimit        = errors.RegisterWithGRPCCode(ModuleName, 8, codes.InvalidArgument, "invalid limit")
	ErrFunds        = errors.RegisterWithGRPCCode(ModuleName, 9, codes.FailedPrecondition, "too little money")
	ErrState        = errors.RegisterWithGRPCCode(ModuleName, 10, codes.FailedPrecondition, "not possible in this state")
	ErrInvalidLease = errors.RegisterWithGRPCCode(ModuleName, 11, codes.InvalidArgument, "invalid lease message")
	ErrResult       = errors.RegisterWithGRPCCode(ModuleName, 12, codes.InvalidArgument, "invalid result")
	ErrCustody      = errors.RegisterWithGRPCCode(ModuleName, 13, codes.InvalidArgument, "invalid custody receipt")
	ErrStanding     = errors.RegisterWithGRPCCode(ModuleName, 14, codes.FailedPrecondition, "NexCore may not trade")
	ErrGenesis      = errors.RegisterWithGRPCCode(ModuleName, 15, codes.InvalidArgument, "invalid genesis")
	ErrPage         = errors.RegisterWithGRPCCode(ModuleName, 16, codes.InvalidArgument, "invalid page request")
)
