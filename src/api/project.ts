/** The project of everything, until requests carry an identity. */
export const PROJECT_ID = 'default';
