package driver

import "errors"

// Sentinels, asked with errors.Is. Drivers wrap them with the facts.
var (
	// ErrNotFound: no such run.
	ErrNotFound = errors.New("driver: run not found")
	// ErrExists: a run of that ID is there already.
	ErrExists = errors.New("driver: run exists")
	// ErrClosed: the driver was closed.
	ErrClosed = errors.New("driver: closed")
	// ErrInvalidSpec: the Spec breaks a named rule.
	ErrInvalidSpec = errors.New("driver: invalid spec")
	// ErrUnsupported: the Spec asks for what this driver does not offer.
	ErrUnsupported = errors.New("driver: not supported")
	// ErrNetworkUnsupported: the Spec asks for a network and there is none to give. It is an ErrUnsupported.
	ErrNetworkUnsupported = wrapped{"driver: no isolated network", ErrUnsupported}
	// ErrInvalidImage: the image is malformed, for another platform or hostile.
	ErrInvalidImage = errors.New("driver: invalid image")
	// ErrImageTooLarge: the image exceeds a size limit. It is an ErrInvalidImage.
	ErrImageTooLarge = wrapped{"driver: image too large", ErrInvalidImage}
	// ErrNoSpace: the host's disk cannot hold the run.
	ErrNoSpace = errors.New("driver: no space on the host")
	// ErrUnavailable: the runtime cannot be reached or is not there.
	ErrUnavailable = errors.New("driver: runtime unavailable")
	// ErrFault: the machinery failed, not the program.
	ErrFault = errors.New("driver: infrastructure fault")
)

// Outputs that are refused are the program's doing: all of them are ErrOutput.
var (
	// ErrOutput: the output folder cannot be collected as it is.
	ErrOutput = errors.New("driver: output refused")
	// ErrOutputPath: a name is not valid UTF-8, too long or too deep.
	ErrOutputPath = wrapped{"driver: bad output path", ErrOutput}
	// ErrOutputLink: a symbolic link that leaves the folder, dangles or leads to a folder.
	ErrOutputLink = wrapped{"driver: bad output link", ErrOutput}
	// ErrOutputKind: a device, socket or named pipe.
	ErrOutputKind = wrapped{"driver: not a file or folder", ErrOutput}
	// ErrOutputFiles: more entries than allowed.
	ErrOutputFiles = wrapped{"driver: too many output files", ErrOutput}
	// ErrOutputBytes: more bytes than allowed.
	ErrOutputBytes = wrapped{"driver: too many output bytes", ErrOutput}
)

// wrapped is a sentinel that belongs to a class of sentinels. It is comparable,
// so errors.Is finds it by value and its class by unwrapping.
type wrapped struct {
	text  string
	class error
}

func (w wrapped) Error() string { return w.text }
func (w wrapped) Unwrap() error { return w.class }
