/*
 * The MessagePack formats that the two halves of the codec use
 * (https://github.com/msgpack/msgpack/blob/master/spec.md). Every value has
 * exactly one form here, the shortest, because rows are hashed and signed as
 * bytes; an absent optional STRUCT is nil. It must not know records.
 */
#ifndef SHARED_RECORD_MSGPACK_H
#define SHARED_RECORD_MSGPACK_H

enum {
	MP_FIXARRAY = 0x90,
	MP_FIXSTR = 0xa0,
	MP_NIL = 0xc0,
	MP_FALSE = 0xc2,
	MP_TRUE = 0xc3,
	MP_BIN8 = 0xc4,
	MP_BIN16 = 0xc5,
	MP_BIN32 = 0xc6,
	MP_UINT8 = 0xcc,
	MP_UINT16 = 0xcd,
	MP_UINT32 = 0xce,
	MP_UINT64 = 0xcf,
	MP_INT8 = 0xd0,
	MP_INT16 = 0xd1,
	MP_INT32 = 0xd2,
	MP_INT64 = 0xd3,
	MP_STR8 = 0xd9,
	MP_STR16 = 0xda,
	MP_STR32 = 0xdb,
	MP_ARRAY16 = 0xdc,
	MP_ARRAY32 = 0xdd,
};

#endif
