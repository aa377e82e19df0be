package types

import (
	"cosmossdk.io/errors"
	"google.golang.org/grpc/codes"
)

// Errors of the scores. Numbers are on the wire: they are never reused, a dead one stays as a remark.
var (
	ErrParams       = errors.RegisterWithGRPCCode(ModuleName, 2, codes.InvalidArgument, "invalid parameters")
	ErrUnauthorized = errors.RegisterWithGRPCCode(ModuleName, 3, codes.PermissionDenied, "not allowed to the signer")
	ErrNotFound     = errors.RegisterWithGRPCCode(ModuleName, 4, codes.NotFound, "not found")
	ErrFact         = errors.RegisterWithGRPCCode(ModuleName, 5, codes.InvalidArgument, "invalid fact")
	ErrSubject      = errors.RegisterWithGRPCCode(ModuleName, 6, codes.InvalidArgument, "invalid subject")
	ErrGenesis      = errors.RegisterWithGRPCCode(ModuleName, 7, codes.InvalidArgument, "invalid genesis")
	ErrQuery        = errors.RegisterWithGRPCCode(ModuleName, 8, codes.InvalidArgument, "invalid query")
)
