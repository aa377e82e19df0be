package types

import (
	"cosmossdk.io/errors"
	"google.golang.org/grpc/codes"
)

// Errors of the registry. Numbers are on the wire: they are never reused, a dead one stays as a remark.
var (
	ErrParams       = errors.RegisterWithGRPCCode(ModuleName, 2, codes.InvalidArgument, "invalid parameters")
	ErrUnauthorized = errors.RegisterWithGRPCCode(ModuleName, 3, codes.PermissionDenied, "not allowed to the signer")
	ErrNotFound     = errors.RegisterWithGRPCCode(ModuleName, 4, codes.NotFound, "not found")
	ErrExists       = errors.RegisterWithGRPCCode(ModuleName, 5, codes.AlreadyExists, "exists already")
	ErrInvalidSpec  = errors.RegisterWithGRPCCode(ModuleName, 6, codes.InvalidArgument, "invalid spec")
	ErrProof        = errors.RegisterWithGRPCCode(ModuleName, 7, codes.InvalidArgument, "invalid node key or proof")
	ErrBond         = errors.RegisterWithGRPCCode(ModuleName, 8, codes.FailedPrecondition, "invalid amount of bond")
	ErrLock         = errors.RegisterWithGRPCCode(ModuleName, 9, codes.FailedPrecondition, "invalid lock")
	ErrStatus       = errors.RegisterWithGRPCCode(ModuleName, 10, codes.FailedPrecondition, "not possible in this status")
	ErrLimit        = errors.RegisterWithGRPCCode(ModuleName, 11, codes.ResourceExhausted, "limit reached")
	ErrGenesis      = errors.RegisterWithGRPCCode(ModuleName, 12, codes.InvalidArgument, "invalid genesis")
	ErrQuery        = errors.RegisterWithGRPCCode(ModuleName, 13, codes.InvalidArgument, "invalid query")
	ErrItem         = errors.RegisterWithGRPCCode(ModuleName, 14, codes.Internal, "a queued item failed")
)
