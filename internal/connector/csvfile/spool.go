// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package csvfile

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// Bounds of a file.
const (
	maxFileBytes   = 1 << 30
	maxMemoryBytes = 8 << 20
	maxRecordBytes = 1 << 20
)

// spool keeps the file for the second pass: small ones in memory, large ones
// in a temporary file without a name, which the system frees with the process.
type spool struct {
	memory []byte
	file   *os.File
	size   int64
}

func newSpool(r io.Reader) (*spool, error) {
	var head bytes.Buffer
	n, err := io.Copy(&head, io.LimitReader(r, maxMemoryBytes))
	if err != nil {
		return nil, fmt.Errorf("read the file: %w", err)
	}
	if n < maxMemoryBytes {
		return &spool{memory: head.Bytes(), size: n}, nil
	}
	f, err := os.CreateTemp("", "seatkeeper-import-*")
	if err != nil {
		return nil, fmt.Errorf("spool the file: %w", err)
	}
	s := &spool{file: f}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(fmt.Errorf("spool the file: %w", err), s.close())
	}
	s.size, err = io.Copy(f, io.MultiReader(&head, io.LimitReader(r, maxFileBytes-n+1)))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("spool the file: %w", err), s.close())
	}
	if s.size > maxFileBytes {
		return nil, errors.Join(&RefusedError{Reason: fmt.Sprintf("the file has more than %d MiB", maxFileBytes>>20)}, s.close())
	}
	return s, nil
}

func (s *spool) reader() io.Reader {
	if s.file == nil {
		return bytes.NewReader(s.memory)
	}
	return io.NewSectionReader(s.file, 0, s.size)
}

func (s *spool) close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}

// Encodings that a file may have.
const (
	encUTF8    = "UTF-8"
	encUTF16LE = "UTF-16LE"
	encUTF16BE = "UTF-16BE"
	encLatin1  = "Latin-1"
)

// detectEncoding goes by the byte order mark, then by the zero bytes that
// UTF-16 has between Latin letters, then by whether the whole is UTF-8.
func detectEncoding(s *spool) (string, error) {
	head := make([]byte, 4096)
	n, err := io.ReadFull(s.reader(), head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the file: %w", err)
	}
	head = head[:n]
	switch {
	case bytes.HasPrefix(head, []byte{0xEF, 0xBB, 0xBF}):
		return encUTF8, nil
	case bytes.HasPrefix(head, []byte{0xFF, 0xFE}):
		return encUTF16LE, nil
	case bytes.HasPrefix(head, []byte{0xFE, 0xFF}):
		return encUTF16BE, nil
	}
	var even, odd int
	for i, b := range head {
		if b == 0 {
			if i%2 == 0 {
				even++
			} else {
				odd++
			}
		}
	}
	switch {
	case n >= 4 && odd > n/4 && even == 0:
		return encUTF16LE, nil
	case n >= 4 && even > n/4 && odd == 0:
		return encUTF16BE, nil
	case even+odd > 0:
		return "", &RefusedError{Reason: "the file holds zero bytes and is no text", Hint: "save it as CSV UTF-8, not as a workbook"}
	}
	if bytes.HasPrefix(head, []byte("PK\x03\x04")) {
		return "", &RefusedError{Reason: "the file is a workbook (xlsx) or an archive", Hint: "save it as CSV UTF-8"}
	}
	ok, err := isUTF8(s.reader())
	if err != nil {
		return "", err
	}
	if ok {
		return encUTF8, nil
	}
	return encLatin1, nil
}

func isUTF8(r io.Reader) (bool, error) {
	buf := make([]byte, 64<<10)
	kept := 0
	for {
		n, err := r.Read(buf[kept:])
		b := buf[:kept+n]
		for len(b) > 0 {
			if !utf8.FullRune(b) && err == nil {
				break
			}
			c, size := utf8.DecodeRune(b)
			if c == utf8.RuneError && size == 1 {
				return false, nil
			}
			b = b[size:]
		}
		kept = copy(buf, b)
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil {
			return false, fmt.Errorf("read the file: %w", err)
		}
	}
}

// text returns the file as UTF-8 without a byte order mark.
func (s *spool) text(encoding string) io.Reader {
	switch encoding {
	case encUTF16LE:
		return transform.NewReader(s.reader(), unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewDecoder())
	case encUTF16BE:
		return transform.NewReader(s.reader(), unicode.UTF16(unicode.BigEndian, unicode.UseBOM).NewDecoder())
	case encLatin1:
		// What calls itself Latin-1 is Windows-1252 in practice (WHATWG Encoding).
		return transform.NewReader(s.reader(), charmap.Windows1252.NewDecoder())
	}
	return transform.NewReader(s.reader(), unicode.UTF8BOM.NewDecoder())
}

// bounded fails once a single record has taken too much: an unclosed quote
// would otherwise read the rest of the file into one cell.
type bounded struct {
	r    io.Reader
	left int
}

var errRecordTooLong = errors.New("one record has more than 1 MiB")

func (b *bounded) reset() { b.left = maxRecordBytes }

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errRecordTooLong
	}
	n, err := b.r.Read(p)
	b.left -= n
	return n, err
}

// unwrap drops the equals sign of ="001" where a cell begins with it: the
// spreadsheet's way to keep leading zeros would otherwise be a stray quote.
type unwrap struct {
	r         *bufio.Reader
	delimiter byte
	inside    bool // a quoted cell
	begin     bool // at the beginning of a cell
}

func (u *unwrap) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		if n > 0 && u.r.Buffered() == 0 {
			return n, nil
		}
		b, err := u.r.ReadByte()
		if err != nil {
			return n, err
		}
		if u.begin && b == '=' && !u.inside {
			if next, err := u.r.Peek(1); err == nil && next[0] == '"' {
				continue
			}
		}
		switch {
		case b == '"' && (u.begin || u.inside):
			u.inside = !u.inside
			u.begin = false
		default:
			u.begin = !u.inside && (b == u.delimiter || b == '\n')
		}
		p[n] = b
		n++
	}
	return n, nil
}
