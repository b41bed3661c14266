//! The only room that may hold `unsafe` code: system calls for which no kept library has a safe
//! function. There is none at present.
