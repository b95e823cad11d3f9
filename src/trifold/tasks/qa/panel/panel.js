// The panel of question answering.
export {};
